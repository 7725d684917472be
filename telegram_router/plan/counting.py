"""Limits, quotas, usage and priorities: what they look at must be there where they look."""

from __future__ import annotations

from telegram_router.config import Exact, Limit, Priority, Quota, Usage
from telegram_router.offices import is_timezone
from telegram_router.plan.check import Check, did_you_mean
from telegram_router.plan.rules import header_test
from telegram_router.routing.quotas import amount_fields
from telegram_router.routing.routes import clear_names
from telegram_router.routing.usage import has
from telegram_router.telegrams import Spec
from telegram_router.telegrams.fields import Number


def check_counting(check: Check) -> None:
    """Limits, quotas, calendars, usage and priorities."""
    config = check.plan.config
    for name, limit in config.limits.items():
        _limit(check, ("limits", name), limit)
        _delay(check, ("limits", name), limit)
    for name, quota in config.quotas.items():
        _limit(check, ("quotas", name), quota)
        _quota(check, ("quotas", name), quota)
    for name, calendar in config.calendars.items():
        _zone(check, ("calendars", name, "timezone"), calendar.timezone)
    if config.usage is not None:
        _usage(check, config.usage)
    for name, priority in config.priorities.items():
        _priority(check, name, priority)


def _limit(check: Check, path: tuple[str, str], limit: Limit | Quota) -> None:
    """What a limit or quota counts by must be there where it counts."""
    for listener, settings in check.plan.config.listeners.items():
        if limit.listener and listener not in limit.listener:
            continue
        spec = check.plan.specs.get(settings.spec)
        known = list(spec.header_fields) if spec is not None else []
        for each in limit.key:
            field = each.removeprefix("header.")
            if each.startswith("header.") and spec is not None and field not in known:
                nearest = did_you_mean(field, known)
                what = f"{spec.name}, the spec of the listener {listener}, has no such header field"
                do = "" if limit.listener else "name the `listener` that it counts at, or count by a field that all have"
                check.report("E-CFG-06", (*path, "key"), what, f"one of {', '.join(known)}{nearest}", do)
        if (
            "certificate" in limit.key
            and limit.on_missing_key == "deny"
            and (settings.tls is None or not settings.tls.asks_for_certificates)
        ):
            what = f"counts by certificates, and the listener {listener} asks for none: all its requests would be refused"
            check.report("E-CFG-07", (*path, "key"), what, do='give the listener a client_ca, or set on_missing_key = "pass"')


def _delay(check: Check, path: tuple[str, str], limit: Limit) -> None:
    """A request that waits for its time must have some left for its answer."""
    for name, service in check.plan.config.services.items() if limit.mode == "delay" else ():
        if (not limit.service or name in limit.service) and limit.max_delay >= service.timeout:
            what = f"is not below the timeout of the service {name}: a request could wait until nobody expects its answer"
            check.report("E-CFG-07", (*path, "max_delay"), what, do="shorten it, or name other services")


def _quota(check: Check, path: tuple[str, str], quota: Quota) -> None:
    _zone(check, (*path, "timezone"), quota.timezone)
    counted = [name for name in check.plan.config.listeners if not quota.listener or name in quota.listener]
    specs = {spec.name: spec for name in counted if (spec := check.spec_of(("listener", name))) is not None}
    for spec in specs.values() if quota.amount is not None else ():
        _amount(check, (*path, "amount"), quota.amount or "", spec)


def _amount(check: Check, path: tuple[str, ...], amount: str, spec: Spec) -> None:
    fields = amount_fields(amount, spec)
    if not fields:
        check.report("E-CFG-06", path, f"no request of {spec.name} has such a field", do=f"see `telegram-router spec show {spec.name}`")
    for message, planned in fields.items():
        if not isinstance(planned.kind, Number):
            check.report("E-CFG-07", path, f"is no number in {message} of {spec.name}", "a field of digits, zoned, packed or binary")


def _usage(check: Check, usage: Usage) -> None:
    _zone(check, ("usage", "timezone"), usage.timezone)
    specs = {spec.name: spec for name in check.plan.config.listeners if (spec := check.spec_of(("listener", name))) is not None}
    for name in usage.user:
        field = name.removeprefix("header.")
        if field == name or not specs:
            continue
        having = [spec for spec in specs.values() if has(name, spec)]
        if not having and check.all_listeners:
            known = sorted({each for spec in specs.values() for each in spec.header_fields})
            check.report("E-CFG-06", ("usage", "user"), f"no spec has the header field {field}", f"one of {', '.join(known)}")
        for spec in having:
            if field not in clear_names(spec):
                what = f"the spec {spec.name} does not let {field} be shown, and users are listed by their names"
                check.report("E-CFG-07", ("usage", "user"), what, do='use another field, or mark it log="clear" in the spec')
    if usage.amount is not None and specs:
        fields = [(spec, name, each) for spec in specs.values() for name, each in amount_fields(usage.amount, spec).items()]
        if not fields and check.all_listeners:
            check.report("E-CFG-06", ("usage", "amount"), "no request has such a field", do="see `telegram-router spec show`")
        for spec, message, planned in fields:
            if not isinstance(planned.kind, Number):
                check.report("E-CFG-07", ("usage", "amount"), f"is no number in {message} of {spec.name}", "a field of digits")


def _zone(check: Check, path: tuple[str, ...], name: str) -> None:
    if not is_timezone(name):
        check.report("E-CFG-04", path, "is no time zone that this machine knows", 'an IANA name, such as "Asia/Seoul"')


def _priority(check: Check, name: str, priority: Priority) -> None:
    """What a rule looks at must be there where it looks, and able to hold what it looks for."""
    field = priority.key.removeprefix("header.")
    if field == priority.key:
        return
    path = ("priorities", name)
    for listener, settings in check.plan.config.listeners.items():
        spec = check.plan.specs.get(settings.spec)
        if spec is None or (priority.listener and listener not in priority.listener):
            continue
        known = list(spec.header_fields)
        if field not in known:
            what = f"{spec.name} has no such header field"
            check.report("E-CFG-06", (*path, "key"), what, f"one of {', '.join(known)}{did_you_mean(field, known)}")
        else:
            header_test(check, (*path, "values"), field, Exact(priority.values), spec)
