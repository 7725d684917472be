"""Which way a telegram goes through a configured router, and why: the answer of `explain --config`."""

# The decision is the router's own (`RouteTable.find`); only the reasons are worked out here.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from telegram_router.config import HandlerService, HttpService
from telegram_router.errors import CODES, Delivery, FieldError
from telegram_router.plan import Plan
from telegram_router.routing import Among, Audience, Listener, Prefix, Route, Service
from telegram_router.routing.routes import BodyTest, Test
from telegram_router.telegrams import MessageLayout, Spec
from telegram_router.telegrams.explain import Explanation, printable


@dataclass(frozen=True)
class Checked:
    """One test of a route, held against the telegram."""

    field: str
    wants: str
    has: str
    holds: bool

    def text(self) -> str:
        return f"{self.field} is {self.has}" + ("" if self.holds else f", not {self.wants}")


@dataclass(frozen=True)
class Tried:
    """One route, held against the telegram."""

    name: str
    kind: str  # "by body", "exact", "in order" or "default"
    target: str
    tests: tuple[Checked, ...]

    @property
    def fits(self) -> bool:
        return all(test.holds for test in self.tests)

    def text(self) -> str:
        if not self.tests:
            return f"{self.name} takes whatever else comes"
        shown = [test for test in self.tests if test.holds is self.fits]
        return f"{self.name} {'fits' if self.fits else 'does not fit'}: " + "; ".join(test.text() for test in shown)


@dataclass(frozen=True)
class Way:
    """What becomes of a telegram that comes from `origin`."""

    origin: str
    outcome: str  # "routed", "refused", "poll", "reply" or "lost"
    summary: str
    code: str = ""
    route: str = ""
    target: str = ""
    tried: tuple[Tried, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def taken(self) -> bool:
        """Whether the router does with it what its sender wants."""
        return self.outcome not in ("refused", "lost")

    def lines(self) -> Iterator[str]:
        yield f"from {self.origin}: {self.summary}"
        yield from (f"  {each.text()}" for each in self.tried)
        yield from (f"  {note}" for note in self.notes)

    def as_object(self) -> dict[str, Any]:
        return {
            "from": self.origin,
            "outcome": self.outcome,
            "summary": self.summary,
            "code": self.code or None,
            "route": self.route or None,
            "target": self.target or None,
            "tried": [
                {
                    "route": each.name,
                    "kind": each.kind,
                    "target": each.target,
                    "fits": each.fits,
                    "tests": [{"field": test.field, "wants": test.wants, "has": test.has, "holds": test.holds} for test in each.tests],
                }
                for each in self.tried
            ],
            "notes": list(self.notes),
        }


def way_of(plan: Plan, origin: Listener | Service, spec: Spec, frame: bytes, told: Explanation, show: bool) -> Way:
    """The way of one frame. `told` is its explanation; `show` shows header values that are not log="clear" too."""
    name = f"listener {origin.name}" if isinstance(origin, Listener) else f"hosts of service {origin.name}"
    if spec.name != origin.spec.name:
        return Way(name, "refused", f"this listener speaks {origin.spec.name}, not {spec.name}")
    framing = next((problem for problem in told.problems if problem.path == "framing"), None)
    if framing is not None or not frame:
        return Way(name, "lost", "the framing is lost: the connection is closed", framing.code if framing else "")
    if spec.is_poll(frame):
        return Way(name, "poll", "a poll, answered by the router itself" if spec.poll_answer(frame) else "the answer to a poll, not routed")
    return _Guide(plan, origin, spec, frame, told, show, name).way()


class _Guide:
    def __init__(self, plan: Plan, origin: Listener | Service, spec: Spec, frame: bytes, told: Explanation, show: bool, name: str) -> None:
        self.plan, self.origin, self.spec, self.frame, self.told, self.show, self.name = plan, origin, spec, frame, told, show, name
        self.clear = {
            planned.name
            for message in spec.messages.values()
            for planned in message.fields
            if planned.section == "header" and planned.log == "clear"
        }

    def way(self) -> Way:
        spec, frame = self.spec, self.frame
        if len(frame) < spec.framing.prefix + spec.header_size:
            return self.refused("E-FRM-08", "shorter than the header")
        message = spec.message_of(frame)
        if message is None:
            return self.unknown()
        wrong_size = spec.check_size(frame, message)
        if wrong_size is not None:
            return self.refused(wrong_size.code, wrong_size.what)
        if message.kind == "reply":
            return Way(self.name, "reply", f"{message.name} is a reply: it goes to whoever asked, found by {self.pairing()}")
        routes = self.origin.routes
        for deep in routes.deep(frame, message):
            try:
                if deep.takes(frame, message):
                    return self.routed(message, deep)
                listed = not deep.refuses(frame, message)
            except FieldError as error:
                return self.refused(error.code, "a field that a rule looks at cannot be read", self.tried(message), deep.name)
            if not listed:
                return self.unlisted(message, deep)
        route = routes.find(frame)
        if route is None:
            return self.unrouted(message)
        return self.routed(message, route)

    def pairing(self) -> str:
        return ", ".join(self.spec.family.correlation) + (
            f" (with {self.spec.family.carrier} as carrier)" if self.spec.family.carrier else ""
        )

    # --- refusals

    def refused(self, code: str, why: str, tried: tuple[Tried, ...] = (), route: str = "") -> Way:
        return Way(
            self.name,
            "refused",
            f"refused with {code}, {CODES[code].title}: {why}",
            code,
            route,
            tried=tried,
            notes=(self.answer_to(code),),
        )

    def answer_to(self, code: str) -> str:
        errors = self.spec.family.errors
        if errors is None:
            return "the spec has no error telegram, so nothing is answered"
        if self.spec.error_reply(self.frame, code, Delivery.NOT_SENT) is None:
            return "nothing is answered: it may be an answer itself, and two routers would answer each other for ever"
        response = errors.codes.get(code, errors.not_sent)
        return f"answered with an error telegram whose {errors.field} is {response} (not_sent: the request did not leave the router)"

    def unknown(self) -> Way:
        key = ", ".join(f"{name} {self.value(name)}" for name in self.spec.family.key)
        return (
            self.dead("E-TXN-02")
            if isinstance(self.origin, Service)
            else self.refused("E-RTE-01", f"no message of {self.spec.name} has {key}")
        )

    def unrouted(self, message: MessageLayout) -> Way:
        if isinstance(self.origin, Service):
            return self.dead("E-TXN-02", message)
        return self.refused("E-RTE-01", "no route takes it", self.tried(message))

    def unlisted(self, message: MessageLayout, route: Route) -> Way:
        if isinstance(self.origin, Service):
            return self.dead("E-TXN-02", message)
        return self.refused("E-RTE-02", f"{route.name} lists no service for it", self.tried(message), route.name)

    def dead(self, code: str, message: MessageLayout | None = None) -> Way:
        return Way(self.name, "lost", f"{CODES[code].title} ({code}): logged, counted, not answered", code, tried=self.tried(message))

    # --- routes

    def routed(self, message: MessageLayout, route: Route) -> Way:
        siblings = self.origin.routes.shares(route)
        if route.split is not None:
            route = siblings[route.split.place(self.frame)]
        tried = tuple(
            each
            for each in self.tried(message)
            if (each.name == route.name and (each.fits or not route.body)) or (not each.fits and each.kind != "default")
        )
        if route.full and self.told.problems:
            why = f"{_described(route.target)} gets only telegrams of which every field is right"
            return self.refused(self.told.problems[0].code, why, tried, route.name)
        place = {
            "by body": "rule on the body",
            "exact": "exact match",
            "in order": "first rule in file order that fits",
            "default": "default route",
        }[_kind(route)]
        summary = f"{message.name} goes to {_described(route.target)} by {route.name} ({place})"
        return Way(self.name, "routed", summary, "", route.name, _described(route.target), tried, tuple(self.notes(message, route)))

    def notes(self, message: MessageLayout, route: Route) -> Iterator[str]:
        yield (
            "every field is checked before anything is sent"
            if route.full
            else "framing, key and length are checked; the body passes as it is"
        )
        if not route.full and self.told.problems:
            yield "the problems above are therefore for its receiver to find"
        yield from self.owner_notes()
        if route.split is not None:
            part = self.origin.routes.share_of(route)
            yield f"{_described(route.target)} has {part:.4g} of what {route.name} takes, told by a hash: a telegram with these values always goes there"
        target = route.target
        if isinstance(target, Audience):
            yield f"the session is one that has spoken for this {self.spec.family.owner}; when there is none, E-RTE-05"
            timeout = target.listener.policy.timeout
        else:
            yield f"answered by {self.answerers(target)}"
            timeout = target.policy.timeout
        if message.reply.message is not None:
            yield f"the reply, {message.reply.message.name}, is awaited for {timeout:g} s and found by {self.pairing()}"
        else:
            yield "no reply is expected"

    def owner_notes(self) -> Iterator[str]:
        if not isinstance(self.origin, Listener) or self.origin.policy.owners is None or self.spec.owner is None:
            return
        allowed = self.origin.policy.owners.get(self.frame[self.spec.owner], frozenset())
        owner = f"{self.spec.family.owner} {self.value(self.spec.family.owner or '')}"
        yield (
            f"{owner} is for clients whose certificate names {' or '.join(sorted(allowed))}"
            if allowed
            else f"{owner} is for no client: E-RTE-04"
        )

    def answerers(self, service: Service) -> str:
        configured = self.plan.config.services[service.name]
        if isinstance(configured, HandlerService):
            return f"the handler {configured.handler}"
        if isinstance(configured, HttpService):
            return f"HTTP POST to {configured.url}"
        return "the link with the fewest open requests to " + " or ".join(each.known_as for each in configured.backends)

    def tried(self, message: MessageLayout | None) -> tuple[Tried, ...]:
        """Every route of the origin in the order in which the router tries them."""
        order = {"by body": 0, "exact": 1, "in order": 2, "default": 3}
        table = self.origin.routes
        once = [each for each in table.routes if each.split is None or table.shares(each)[0] is each]
        routes = sorted(once, key=lambda route: order[_kind(route)])
        return tuple(Tried(route.name, _kind(route), _described(route.target), tuple(self.checked(route, message))) for route in routes)

    def checked(self, route: Route, message: MessageLayout | None) -> Iterator[Checked]:
        for name, test in route.tests.items():
            yield Checked(name, self.wanted(test), self.value(name), test.holds(self.frame[self.spec.header_slice(name)]))
        for inside in route.body:
            yield self.looked_inside(inside, message)

    def looked_inside(self, test: BodyTest, message: MessageLayout | None) -> Checked:
        """A test of a field's value. What the rule asks for stands in the configuration; what the telegram has may be a secret."""
        if message is None or message.name not in test.readers:
            return Checked(test.path, "", "missing", holds=False)
        wants = self.wanted(test.tests[message.name])
        planned = message.field(test.path)
        assert planned is not None
        try:
            value = test.readers[message.name](self.frame)
            holds = test.holds(self.frame, message.name)
        except FieldError as error:
            return Checked(test.path, wants, f"unreadable ({error.code})", holds=False)
        told = self.show or planned.log == "clear"
        return Checked(test.path, wants, self.shown(value) if told else f"[{planned.length} bytes]", holds)

    def wanted(self, test: Test) -> str:
        if isinstance(test, Among):
            return " or ".join(sorted(map(self.shown, test.values)))
        if isinstance(test, Prefix):
            return f"{self.shown(test.prefix)}…"
        return f"{self.shown(test.low)} to {self.shown(test.high)}"

    def shown(self, value: Any) -> str:
        """Bytes of a header field, or a value of one in the body."""
        return self.text(value) if isinstance(value, bytes) else printable(str(value)) or "blank"

    def value(self, name: str) -> str:
        raw = self.frame[self.spec.header_slice(name)]
        return self.text(raw) if self.show or name in self.clear else f"[{len(raw)} bytes]"

    def text(self, raw: bytes) -> str:
        return printable(raw.decode(self.spec.encoding, "replace").rstrip(" ")) or "blank"


def _kind(route: Route) -> str:
    if route.body:
        return "by body"
    return "exact" if route.exact else "in order" if route.tests else "default"


def _described(target: Service | Audience) -> str:
    return f"sessions of listener {target.name}" if isinstance(target, Audience) else f"service {target.name}"
