"""The written-out loop of the switch and the general way end in the same state, whatever is said in whatever batches."""

from __future__ import annotations

from typing import Any

from conversation import (
    ImmediateJournal,
    Speaker,
    Talk,
    answer_to,
    ask,
    exactly,
    listing,
    one_service,
    reply_to,
    service_of,
    small,
    transfer,
)
from conversation import firm as firm_talk
from hypothesis import example, given, settings
from hypothesis import strategies as st

from telegram_router.errors import Delivery
from telegram_router.routing import Audience, Call, Ended, Kind, Listener, ListenerPolicy, Route, RouteTable, Switch
from telegram_router.routing.bulkheads import Bulkhead
from telegram_router.routing.exchange import Exchange, Lane, Register
from telegram_router.routing.halting import EVERYWHERE, halt
from telegram_router.routing.limits import ByKey, Limit, part
from telegram_router.routing.quotas import Quota, Window, speller

WIDTH = 2
COMPANIES = ("AA", "BB", "CC")

one_ask = st.tuples(
    st.just("ask"), st.sampled_from(["0200", "0200", "0200", "0300", "0400", "0999"]), st.integers(0, 9), st.sampled_from(COMPANIES)
)
one_answer = st.tuples(st.just("answer"), st.integers(0, 5), st.sampled_from(["good", "good", "good", "again", "other", "short"]))
batches = st.tuples(st.just("batch"), st.integers(0, 9), st.lists(st.one_of(one_ask, one_answer, one_answer), min_size=1, max_size=8))
steps = st.lists(
    st.one_of(
        batches,
        batches,
        batches,
        st.tuples(st.just("take"), st.integers(0, 9), st.integers(1, 60)),
        st.tuples(st.just("take all")),
        st.tuples(st.just("take all")),
        st.tuples(st.just("tick"), st.sampled_from([0.1, 0.7, 3.0, 6.0, 30.0])),
        st.tuples(st.just("die"), st.integers(0, 9)),
        st.tuples(st.just("bar"), st.integers(0, 9), st.booleans()),
        st.tuples(st.just("join"), st.sampled_from(["session", "transfer", "other"])),
        st.tuples(
            st.just("halt"),
            st.sampled_from([EVERYWHERE, "listener.branches", "service.transfer"]),
            st.sampled_from(["ask.request", "letter"]),
            st.booleans(),
        ),
    ),
    max_size=25,
)


def quota_of_messages(spec: Any) -> Quota:
    """Counts by company, in windows of ten seconds."""
    quota = Quota("q", 4, [part("header.company", spec)], speller(["header.company"], spec))
    quota.keep_time(Window(0, 10), Window(10, 20), 10.0, 0.0)
    return quota


def limits_of(spec: Any, *, usual: bool) -> list[ByKey]:
    """Such as the loop counts itself, or such as it has counted by the general way."""
    rate = Limit("l", 0.5, 6, [part("session", spec)])
    if usual:
        return [Bulkhead("users", 5, [part("session", spec)]), rate, Bulkhead("companies", 4, [part("header.company", spec)])]
    delays = Limit("slow", 2.0, 3, [part("header.company", spec)], frozenset(["other"]), max_delay=2.0)
    return [Bulkhead("users", 5, [part("session", spec), part("header.company", spec)]), rate, quota_of_messages(spec), delays]


class Played:
    """One switch under a script. Whatever it does depends on the script and on the frames that came out, on nothing else."""

    def __init__(self, journal: ImmediateJournal | None, carrier: bool, refusal: bool, in_flight: int, pending: int) -> None:
        spec = small(WIDTH, carrier=carrier, owner=True, refusal=refusal)
        switch = Switch(journal)
        switch.ended = []
        if journal is not None:
            journal.switch = switch
        policy: dict[str, Any] = {"in_flight": in_flight, "pending": pending, "timeout": 5.0, "tombstone": 20.0}
        first, other = service_of(switch, "transfer", spec, **policy), service_of(switch, "other", spec, **policy)
        listener = Listener("branches", spec, ListenerPolicy(open_exchanges=8, timeout=5.0, tombstone=20.0))
        listener.limits = limits_of(spec, usual=in_flight % 2 == 1) if refusal else []
        listener.set_routes(RouteTable(spec, [Route("b", exactly(company="BB"), other, rank=3), Route("rest", {}, first)]))
        for service in (first, other):
            service.arrange(refusal, 0.0)
        switch.listeners["branches"] = listener
        audience = Audience(listener)
        for service in (first, other):
            service.set_routes(RouteTable(spec, [Route("back", {}, audience)]))
        self.talk = Talk(switch)
        self.arrived: dict[Speaker, list[bytes]] = {}
        self.alive: list[Speaker] = []
        for who in ("session", "session", "transfer", "other", "transfer"):
            self.join(who)

    def join(self, who: str) -> None:
        speaker = self.talk.session(f"bank{len(self.talk.speakers)}") if who == "session" else self.talk.link(who)
        self.arrived[speaker] = []
        self.alive.append(speaker)

    def play(self, script: list[Any]) -> None:
        for step in script:
            getattr(self, step[0].replace(" ", "_"))(*step[1:])

    def batch(self, who: int, items: list[Any]) -> None:
        speaker = self.alive[who % len(self.alive)]
        frames = [frame for item in items for frame in (self.asking(*item[1:]) if item[0] == "ask" else self.answering(speaker, *item[1:]))]
        speaker.sends(*frames)

    @staticmethod
    def asking(kind: str, number: int, company: str) -> list[bytes]:
        return [ask(number, "text", company, kind=kind, width=WIDTH)]

    def answering(self, speaker: Speaker, which: int, how: str) -> list[bytes]:
        arrived = self.arrived[speaker]
        if not arrived:
            return []
        frame = arrived[which % len(arrived)]
        if how in ("good", "short"):
            arrived.remove(frame)
        if frame[4:8] == b"0300":
            number, company = int(frame[8 : 8 + WIDTH]), frame[8 + WIDTH : 10 + WIDTH].decode()
            whole = listing(number, 1 + (how == "good"), 2, width=WIDTH, company=company)
            return [b"%04d" % (len(whole) - 6) + whole[4:-2] if how == "short" else whole]
        good = answer_to(frame, width=WIDTH)
        return {"again": [good, good], "other": [answer_to(frame.replace(b"text", b""), width=WIDTH)[:8] + b"99" + good[8 + WIDTH :]]}.get(
            how, [good]
        )

    def take(self, who: int, size: int) -> None:
        speaker = self.alive[who % len(self.alive)]
        speaker.accepts(min(size, speaker.peer.unwritten))
        frames, speaker.looked = speaker.cut(speaker.history, speaker.looked)
        self.arrived[speaker] += [frame for frame in frames if frame[4:8] in (b"0200", b"0300")]

    def take_all(self) -> None:
        for index in range(len(self.alive)):
            self.take(index, 1 << 20)

    def tick(self, step: float) -> None:
        self.talk.tick(self.talk.clock + step)

    def die(self, who: int) -> None:
        if len(self.alive) > 2:
            self.alive.pop(who % len(self.alive)).dies()

    def halt(self, place: str, message: str, off: bool) -> None:
        halt(self.talk.switch, place, message, off=off)

    def bar(self, who: int, barred: bool) -> None:
        """A session's line is closed or opened."""
        sessions = [each for each in self.alive if isinstance(each.peer.group, Listener)]
        if sessions:
            sessions[who % len(sessions)].peer.bar(barred=barred)

    def state(self) -> dict[str, Any]:
        """All that there is to see, in names and bytes."""
        switch = self.talk.switch
        groups: list[Any] = [*switch.listeners.values(), *switch.services.values()]
        targets = [*switch.services.values(), switch.listeners["branches"].audience]
        return {
            "peers": [peer_state(speaker) for speaker in self.talk.speakers],
            "registers": [register_state(group.register) for group in groups],
            "waiting": [[(since, each.frame) for each, since in service.waiting.in_order()] for service in switch.services.values()],
            "received": [group.received for group in groups],
            "ended": [self.talk.ended(group) for group in groups],
            "refused": [group.refused for group in groups],
            "limited": [(limit.refused, len(limit)) for limit in switch.listeners["branches"].limits],
            "held": [(service.waiting.held, service.shed, service.retries) for service in switch.services.values()],
            "used": [limit.highest(9) for limit in switch.listeners["branches"].limits if isinstance(limit, Quota)],
            "counts": [(t.latency.counts, t.late, t.unmatched, t.duplicates, t.unknown, t.undelivered) for t in targets],
            "seconds": [round(t.latency.seconds, 6) for t in targets],
            "by route": [
                (route.name, [(took.counts, round(took.seconds, 6)) for took in (route.score.answered_in, route.score.failed_in)])
                for group in groups
                for route in group.routes.counted
            ],
            "phases": [
                (t.phases.queue.counts, t.phases.answer.counts, t.phases.together.counts, round(t.phases.queue.seconds, 6)) for t in targets
            ],
            "delayed": [len(group.register.delayed) for group in groups],
            "told": [told(each) for each in switch.ended or ()],
            "events": [(event.name, event.fields) for event in switch.events],
            "dirty": {peer.name for peer in switch.dirty},
            "deadline": switch.next_deadline(),
        }


def told(ended: Ended) -> tuple[Any, ...]:
    result, at, exchange, peer, entry, frame, code, delivery, waited = ended
    asked = exchange and (exchange.key, kept(exchange), exchange.at, exchange.answerer and exchange.answerer.name, exchange.attempts)
    return result, at, asked, peer.name, entry and entry.message.name, frame, code, delivery, round(waited, 6)


def peer_state(speaker: Speaker) -> tuple[Any, ...]:
    peer = speaker.peer
    stream = speaker.history + b"".join(peer.outbox)
    return peer.name, stream, peer.queued, peer.accepted, peer.load, peer.had, [lane_state(lane) for lane in peer.lanes], peer.owners


def lane_state(lane: Lane) -> tuple[Any, ...]:
    return [(key, kept(each), each.at, each.offset) for key, each in lane.open.items()], list(lane.reserved)


def register_state(register: Register) -> tuple[Any, ...]:
    pending = [(ref, kept(each), each.answerer and each.answerer.name, each.offset) for ref, each in register.pending.items()]
    return pending, [(ref, stone.expires) for ref, stone in register.tombstones.items()], register._low


def kept(exchange: Exchange) -> bytes:
    """The general way may keep more of a request than it needs."""
    return exchange.frame[exchange.asker.group.spec.kept]


@given(steps, st.booleans(), st.booleans(), st.integers(1, 4), st.integers(0, 3))
@example(
    [("batch", 0, [("ask", "0200", 1, "AA"), ("ask", "0200", 2, "AA")]), ("take all",), ("batch", 2, [("answer", 0, "again")])],
    False,
    False,
    1,
    3,
)
@example(  # room that a reply makes is used before the next telegram of the batch
    [
        ("batch", 0, [("ask", "0200", number, "BB") for number in (1, 2, 3)]),
        ("take all",),
        ("batch", 3, [("answer", 0, "good")]),
        ("take all",),
        ("batch", 3, [("answer", 0, "good"), ("ask", "0200", 5, "CC")]),
    ],
    False,
    False,
    1,
    3,
)
@example(  # of what was sent only the header is kept, of what was not the whole must go to the next link
    [
        ("batch", 0, [("ask", "0200", number, "AA") for number in (1, 2, 3)]),
        ("take", 2, 10),
        ("die", 2),
        ("join", "transfer"),
        ("take all",),
    ],
    True,
    True,
    4,
    3,
)
@settings(max_examples=2 * settings.default.max_examples, deadline=None)
def test_both_ways_end_in_the_same_state(script: list[Any], carrier: bool, refusal: bool, in_flight: int, pending: int):
    fast, general = Played(None, carrier, refusal, in_flight, pending), Played(ImmediateJournal(), carrier, refusal, in_flight, pending)
    fast.play(script)
    general.play(script)
    assert fast.state() == general.state()


def test_the_usual_conversation_never_leaves_the_loop(monkeypatch: Any):
    """Else the equality above would compare the general way with itself."""
    talk = firm_talk()
    bank, host = talk.session(), talk.link()
    bank.sends(transfer(0))
    host.got()
    slow: list[bytes] = []
    monkeypatch.setattr(Switch, "_receive_one", lambda switch, peer, frame, now: slow.append(frame))
    host.sends(reply_to(transfer(0)))
    assert slow == [reply_to(transfer(0))]  # the first reply of its kind is looked up
    monkeypatch.undo()
    host.sends(reply_to(transfer(0)))
    monkeypatch.setattr(Switch, "_receive_one", lambda switch, peer, frame, now: slow.append(frame))
    bank.sends(*(transfer(number) for number in range(1, 20)))
    host.sends(*(reply_to(frame) for frame in host.got()))
    assert len(bank.got()) == 20 and len(slow) == 1


rest_asks = st.tuples(
    st.just("ask"),
    st.integers(0, 3),
    st.lists(
        st.tuples(st.sampled_from(["0200", "0200", "0200", "0400"]), st.integers(0, 9), st.sampled_from(["", "", "", "\x01"])), max_size=5
    ),
)
rest_steps = st.lists(
    st.one_of(
        rest_asks,
        rest_asks,
        st.tuples(st.just("serve"), st.booleans()),
        st.tuples(st.just("answer"), st.integers(0, 5)),
        st.tuples(st.just("answer"), st.integers(0, 5)),
        st.tuples(st.just("fail"), st.integers(0, 5)),
        st.tuples(st.just("tick"), st.sampled_from([0.1, 0.7, 6.0])),
        st.tuples(st.just("die"), st.integers(0, 9)),
        st.tuples(st.just("join"), st.sampled_from(["session", "link", "link"])),
    ),
    max_size=25,
)


class PlayedRest(Played):
    """As Played, with one HTTP service, of which the script plays the hub's part."""

    def __init__(self, journal: ImmediateJournal | None, carrier: bool, refusal: bool, open_exchanges: int, pending: int) -> None:
        spec = small(WIDTH, carrier=carrier, owner=True, refusal=refusal)
        policy: dict[str, Any] = {"pending": pending, "timeout": 5.0, "tombstone": 20.0, "tombstones": 3}
        self.talk = one_service(spec, journal, Kind.HTTP, full=True, sessions={"open_exchanges": open_exchanges}, **policy)
        self.talk.switch.ended = []
        if journal is not None:
            journal.switch = self.talk.switch
        Audience(self.talk.listener())
        self.alive: list[Speaker] = []
        self.asked: list[Exchange] = []
        self.orders: list[str] = []
        for who in ("session", "link", "session", "link"):
            self.join(who)

    def join(self, who: str) -> None:
        self.alive.append(self.talk.session(f"bank{len(self.talk.speakers)}") if who == "session" else self.talk.link())

    def ask(self, who: int, telegrams: list[tuple[str, int, str]]) -> None:
        sessions = [speaker for speaker in self.alive if speaker.peer.group is self.talk.listener()]
        if sessions:
            sessions[who % len(sessions)].sends(
                *(ask(number, "text", kind=kind, width=WIDTH, code=code) for kind, number, code in telegrams)
            )

    def serve(self, whole: bool) -> None:
        """Requests are written, or stand in their outboxes yet."""
        commands, self.talk.switch.commands = self.talk.switch.commands, []
        for command in commands:
            self.orders.append(type(command).__name__)
            if isinstance(command, Call) and not command.exchange.settled and command.exchange.answerer is command.link:
                command.exchange.offset = command.link.queued
                command.link.queued += 10
                command.link.accepted += 10 * whole
                self.asked.append(command.exchange)

    def answer(self, which: int) -> None:
        if self.asked:
            exchange = self.asked.pop(which % len(self.asked))
            self.talk.switch.answer(exchange, answer_to(exchange.frame, width=WIDTH), self.talk.now())

    def fail(self, which: int) -> None:
        if self.asked:
            self.talk.switch.fail(self.asked.pop(which % len(self.asked)), "E-BCK-04", Delivery.SENT_UNKNOWN, self.talk.now())

    def state(self) -> dict[str, Any]:
        service = self.talk.service()
        return super().state() | {
            "free": [link.name for link in service.free],
            "orders": self.orders,
            "still": len(self.talk.switch.commands),
        }


@given(rest_steps, st.booleans(), st.booleans(), st.integers(1, 6), st.integers(0, 3))
@example([("ask", 0, [("0200", 1, "")]), ("serve", True), ("answer", 0), ("ask", 0, [("0200", 2, "")])], True, False, 4, 3)
@example(  # the room that an answer makes goes to who waits
    [("ask", 0, [("0200", number, "") for number in (1, 2, 3)]), ("serve", True), ("answer", 0), ("serve", True)], False, False, 4, 3
)
@example(  # a number whose request ended unknown is refused
    [("ask", 0, [("0200", 1, "")]), ("serve", True), ("fail", 0), ("ask", 0, [("0200", 1, ""), ("0200", 2, "")])], False, False, 4, 3
)
@settings(max_examples=2 * settings.default.max_examples, deadline=None)
def test_both_ways_to_an_http_service_end_in_the_same_state(
    script: list[Any], carrier: bool, refusal: bool, open_exchanges: int, pending: int
):
    numbers = carrier, refusal, open_exchanges, pending
    fast, general = PlayedRest(None, *numbers), PlayedRest(ImmediateJournal(), *numbers)
    fast.play(script)
    general.play(script)
    assert fast.state() == general.state()


def test_a_usual_request_to_an_http_service_never_leaves_the_loop(monkeypatch: Any):
    talk = one_service(small(WIDTH, owner=True), kind=Kind.HTTP, full=True)
    bank = talk.session()
    links = [talk.link(), talk.link()]
    bank.sends(ask(1, width=WIDTH))
    monkeypatch.setattr(Switch, "_receive_one", None)
    bank.sends(ask(2, width=WIDTH))
    assert [(command.exchange.key, command.link) for command in talk.switch.commands] == [
        (talk.listener().spec.correlate(ask(number, width=WIDTH)), link.peer) for number, link in ((1, links[1]), (2, links[0]))
    ]
