"""Services and their backends held against their specs: those that are dialled, and those that dial."""

from __future__ import annotations

from itertools import combinations

from telegram_router.config import Backend, HandlerService, HttpService, Service, TelegramService
from telegram_router.plan.check import Check, did_you_mean
from telegram_router.plan.http_and_handlers import load_handler, plan_mapping
from telegram_router.plan.parties import check_conduct, check_room
from telegram_router.plan.rules import header_test
from telegram_router.plan.tls import load_door, load_service
from telegram_router.routing.callers import Caller
from telegram_router.telegrams import Digits, FieldFault, Spec


def check_service(check: Check, name: str, service: Service) -> None:
    spec = check.spec_of(("service", name))
    if isinstance(service, TelegramService) and spec is not None:
        if service.mode == "pipelined" and not spec.family.correlation:
            what = f"the spec {spec.name} has no correlation: nothing pairs a reply with its request"
            do = 'set mode = "fifo" if the host answers in order, or mode = "exclusive"; or name header fields in the spec\'s correlation'
            check.report("E-CFG-07", ("services", name, "mode"), what, do=do)
        if service.mode == "exclusive" and not spec.family.correlation and any(each.replies for each in service.backends):
            what = f"has backends with `replies`, and the spec {spec.name} has no correlation to pair them by"
            check.report("E-CFG-07", ("services", name, "backends"), what, do="remove `replies`, or use a spec with correlation")
        check_room(check, ("services", name, "max_frame"), service.max_frame, spec)
    if spec is not None:
        _policies(check, name, service, spec)
        check_conduct(check, ("services", name), service, spec)
    if isinstance(service, HandlerService):
        load_handler(check, name, service)
        return
    if isinstance(service, TelegramService):
        _callers(check, name, service, spec)
    if service.tls is not None or (isinstance(service, HttpService) and service.url.scheme == "https"):
        load_service(check, name, service.tls)
    if isinstance(service, HttpService) and spec is not None and check.all_routes:
        plan_mapping(check, name, service, spec)


def _policies(check: Check, name: str, service: Service, spec: Spec) -> None:
    """What balancing and health look at in telegrams."""
    path = ("services", name)
    known = list(spec.header_fields)
    if service.balance_field is not None and service.balance_field not in known:
        nearest = did_you_mean(service.balance_field, known)
        check.report("E-CFG-06", (*path, "balance_field"), "no such header field", f"one of {', '.join(known)}{nearest}")
    if service.ejection is not None:
        when = service.ejection.failure_when
        tests = {key: header_test(check, (*path, "ejection", "failure_when", key), key, rule, spec) for key, rule in when.items()}
        check.plan.trouble[name] = {key: test for key, test in tests.items() if test is not None}
    if isinstance(service, TelegramService) and service.health is not None and service.health.probe == "poll" and not spec.framing.polls:
        check.report("E-CFG-07", (*path, "health", "probe"), "needs a polling frame, and the spec has none", "connect or tls")


def _callers(check: Check, name: str, service: TelegramService, spec: Spec | None) -> None:
    """Backends that dial us: who they are, and by which certificate we are known to them."""
    signing = [(place, each) for place, each in enumerate(service.backends) if each.sign_on]
    paths = [(("services", name, "backends", place, "sign_on"), each) for place, each in signing]
    sound = spec is not None and all([_signs(check, path, each, spec) for path, each in paths])  # noqa: C419 - every problem is told
    places = [place for place, each in enumerate(service.backends) if each.address is None]
    for (_, one), (place, other) in combinations(
        zip(places, callers_of(service, spec), strict=True) if spec is not None and sound else (), 2
    ):
        if one.meets(other):
            what = f"is told as {one.backend} is: a host could be both, and would be taken for neither"
            check.report(
                "E-CFG-07",
                ("services", name, "backends", place),
                what,
                do="give them networks, certificate names or fields of the sign-on that differ",
            )
    if service.listen is not None and service.listen.tls is not None:
        load_door(check, name, service.listen.tls)


def _signs(check: Check, path: tuple[str | int, ...], backend: Backend, spec: Spec) -> bool:
    """Whether a backend can be told by its sign-on."""
    if spec.formalities is None or "sign_on" not in spec.formalities.roles:
        check.report("E-CFG-07", path, f"the spec {spec.name} declares no sign-on", do="declare `conduct` in the spec, or leave it out")
        return False
    for name in backend.sign_on:
        if name not in spec.header_fields:
            check.report("E-CFG-06", (*path, name), "no such header field", f"one of {', '.join(spec.header_fields)}")
            return False
        try:
            signs_of(backend, spec)
        except FieldFault as fault:
            check.report("E-CFG-04", (*path, name), f"the field cannot hold it: {fault.what}", fault.expected)
            return False
    return True


def backends_of(service: TelegramService | HttpService) -> list[tuple[str, int]]:
    """The addresses of a service, of those backends that are dialled."""
    if isinstance(service, HttpService):
        return [(service.url.host, service.url.port)]
    return [(backend.address.host, backend.address.port) for backend in service.backends if backend.address is not None]


def callers_of(service: TelegramService, spec: Spec) -> list[Caller]:
    """The backends of a service that dial us."""
    return [
        Caller(each.known_as, each.networks, frozenset(each.certificate), signs_of(each, spec))
        for each in service.backends
        if each.address is None
    ]


def signs_of(backend: Backend, spec: Spec) -> tuple[tuple[int, int, bytes], ...]:
    """Where what stands in the sign-on of a backend. Raises FieldFault for a value that its field cannot hold."""
    fields = {field.path: field for field in next(iter(spec.messages.values())).fields}
    found = []
    for name, value in backend.sign_on.items():
        kind, place = fields[f"header.{name}"].kind, spec.header_slice(name)
        found.append((place.start, place.stop, kind.write(int(value) if isinstance(kind, Digits) and value.isdecimal() else value)))
    return tuple(found)
