"""Listeners held against their specs, their owners and each other."""

from __future__ import annotations

from collections.abc import Iterable

from telegram_router.config import Listener
from telegram_router.plan.check import Check
from telegram_router.plan.parties import check_conduct, check_room
from telegram_router.plan.tls import load_listener
from telegram_router.telegrams import Digits, FieldFault, Spec


def check_listener(check: Check, name: str, listener: Listener) -> None:
    spec = check.plan.specs.get(listener.spec)
    if spec is not None:
        _owners(check, ("listeners", name, "owners"), listener.owners, spec)
        _answers_to(check, ("listeners", name, "answers_to"), listener, spec)
        check_conduct(check, ("listeners", name), listener, spec)
        check_room(check, ("listeners", name, "max_frame"), listener.max_frame, spec)
    if listener.tls is not None:
        load_listener(check, name, listener.tls)


def _answers_to(check: Check, path: tuple[str, ...], listener: Listener, spec: Spec) -> None:
    """Who takes answers must be known for whom, and read them by the spec of the questions."""
    other = check.plan.config.listeners.get(listener.answers_to or "")
    if other is None:
        return
    if spec.owner is None:
        do = "set `owner` in the spec, or leave it out"
        check.report("E-CFG-07", path, "the spec names no owner field, so nothing tells whose answer goes where", do=do)
    if other.spec != listener.spec:
        what = f"{listener.answers_to} speaks another spec ({other.spec})"
        check.report("E-CFG-07", path, what, f"a listener with spec {listener.spec}", "name another one, or use one spec")
    if not other.owners and (other.conduct is None or other.conduct.sign_on == "none"):
        what = f"nothing tells for whom a session of {listener.answers_to} takes answers"
        check.report("E-CFG-07", path, what, do="bind `owners` to certificates there, or demand a sign-on (`sign_on` in `conduct`)")


def _owners(check: Check, path: tuple[str, ...], owners: Iterable[str], spec: Spec) -> None:
    """An owner that the field cannot hold would never be met: all of its clients would be turned away."""
    field = next((field for field in next(iter(spec.messages.values())).fields if field.path == f"header.{spec.family.owner}"), None)
    if owners and field is None:
        check.report("E-CFG-07", path, "the spec names no owner field", do="remove `owners`, or set `owner` in the spec")
    if field is None:
        return
    for owner in owners:
        try:
            field.kind.write(int(owner) if isinstance(field.kind, Digits) and owner.isdecimal() else owner)
        except FieldFault as fault:
            check.report("E-CFG-04", (*path, owner), f"the owner field cannot hold it: {fault.what}", field.kind.expected)


def doubt_listener(check: Check, listener: str) -> None:
    """What a listener may be without, but is so by a slip most of the time."""
    config = check.plan.config
    led = {listener for route in config.routes if ("listener", listener) in route.sources or route.to_listener == listener}
    led |= {listener for each in config.listeners.values() if each.answers_to == listener}
    if check.all_routes and not led:
        what = "no route begins at this listener, and none leads to it: every request is refused (E-RTE-01)"
        check.warn(("listeners", listener), what, "add a route, or remove the listener")
    spec = check.spec_of(("listener", listener))
    if spec is not None and spec.family.errors is None:
        what = f"the spec {spec.name} has no `errors`: who sends what is refused, or is not answered in time, is told nothing"
        check.warn(("listeners", listener, "spec"), what, "declare an ErrorReply in the spec, if the family has a way to refuse")
