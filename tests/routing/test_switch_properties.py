"""Whatever sessions, links, kernel, clock and journal do in whatever order: what the switch promises, it keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from conversation import HeldJournal, ImmediateJournal, Speaker, Talk, answer_to, ask, exactly, framed, service_of, small
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from telegram_router.routing import Audience, Listener, ListenerPolicy, Route, RouteTable, Switch
from telegram_router.routing.classes import Precedence, of_field

REQUESTS = ("0200", "0300", "0400")
COMPANIES = ("AA", "BB")
NUMBERS = st.integers(0, 20)
MARK = re.compile(rb"([qr])(\d+)")


@dataclass(eq=False)
class Asked:
    """What the model knows of one request: its text is q and a number of its own."""

    asker: Speaker
    frame: bytes
    company: str
    number: int
    one_way: bool
    ended: str = ""  # what its asker was told last: "answered", "not sent", "unknown"
    on: Speaker | None = None  # whose kernel took bytes of it
    there: bytes = b""  # its number there


@dataclass(eq=False)
class ToAnswer:
    """A request as it arrived."""

    frame: bytes
    uid: int
    part: int = 0
    parts: int = 1


class Conversations(RuleBasedStateMachine):
    @initialize(
        width=st.integers(2, 4),
        carrier=st.booleans(),
        in_flight=st.integers(1, 3),
        pending=st.integers(1, 3),
        cap=st.sampled_from([3, 6, 1000]),
        classes=st.booleans(),
        journal=st.sampled_from([None, None, HeldJournal, ImmediateJournal]),
    )
    def begins(self, width: int, carrier: bool, in_flight: int, pending: int, cap: int, classes: bool, journal: Any) -> None:
        self.width = width
        self.carrier = carrier
        spec = small(width, carrier=carrier, owner=True)
        self.journal = journal() if journal else None
        switch = Switch(self.journal)
        if isinstance(self.journal, ImmediateJournal):
            self.journal.switch = switch
        policy = {"in_flight": in_flight, "pending": pending, "tombstones": cap, "timeout": 5.0, "tombstone": 20.0}
        first, other = service_of(switch, "transfer", spec, **policy), service_of(switch, "other", spec, **policy)
        listener = Listener("branches", spec, ListenerPolicy(open_exchanges=6, timeout=5.0, tombstone=20.0, tombstones=cap))
        if classes:
            listener.precedence = [Precedence("urgent", 0, of_field(spec.header_slice("type"), frozenset([b"0200"])))]
            first.arrange(True, 0.0)
            other.arrange(True, 0.0)
        listener.set_routes(RouteTable(spec, [Route("b", exactly(company="BB"), other, rank=3), Route("rest", {}, first)]))
        switch.listeners["branches"] = listener
        audience = Audience(listener)
        for service in (first, other):
            service.set_routes(RouteTable(spec, [Route("back", {}, audience)]))
        self.talk = Talk(switch)
        self.asked: dict[int, Asked] = {}
        self.inbox: dict[Speaker, list[ToAnswer]] = {}
        self.parsed: dict[Speaker, int] = {}
        self.foreign = 0  # telegrams of no message, and answers nobody was asked for
        self.sessions: list[Speaker] = []
        self.links: list[Speaker] = []
        self.returned = 0  # requests that lost links gave back
        for _ in range(2):
            self.session_connects()
        for name in ("transfer", "other", "transfer"):
            self.link_connects(name)

    # --- who is there ------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.sessions) < 3)
    @rule()
    def session_connects(self) -> None:
        self.sessions.append(self.joins(self.talk.session(f"bank{len(self.asked)}")))
        self.asks(self.sessions[-1], [("0400", 0, "AA")])  # from now on it carries the company's telegrams

    @precondition(lambda self: len(self.links) < 4)
    @rule(service=st.sampled_from(["transfer", "other"]))
    def link_connects(self, service: str) -> None:
        self.links.append(self.joins(self.talk.link(service)))

    def joins(self, speaker: Speaker) -> Speaker:
        self.inbox[speaker], self.parsed[speaker] = [], 0
        return speaker

    @precondition(lambda self: any(each.peer.load or each.peer.open for each in self.links))
    @rule(data=st.data())
    def a_busy_link_is_lost(self, data: Any) -> None:
        link = data.draw(st.sampled_from([each for each in self.links if each.peer.load or each.peer.open]))
        self.dies(link)
        self.link_connects(link.peer.group.name)

    @precondition(lambda self: any(each.peer.load or each.peer.open for each in self.sessions))
    @rule(data=st.data())
    def a_busy_session_is_lost(self, data: Any) -> None:
        self.dies(data.draw(st.sampled_from([each for each in self.sessions if each.peer.load or each.peer.open])))
        self.session_connects()

    def dies(self, speaker: Speaker) -> None:
        self.look_at(speaker)
        held = speaker.peer.load
        speaker.dies()
        (self.sessions if speaker in self.sessions else self.links).remove(speaker)
        self.returned += held

    # --- asking ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), asks=st.lists(st.tuples(st.sampled_from(REQUESTS), NUMBERS, st.sampled_from(COMPANIES)), min_size=1, max_size=4))
    def session_asks(self, data: Any, asks: list[tuple[str, int, str]]) -> None:
        session = data.draw(st.sampled_from(self.sessions))
        self.asks(session, asks[: max(0, session.peer.limit - session.peer.open)])

    @precondition(lambda self: self.links)
    @rule(data=st.data(), kind=st.sampled_from(REQUESTS), number=NUMBERS, company=st.sampled_from(COMPANIES))
    def host_asks(self, data: Any, kind: str, number: int, company: str) -> None:
        self.asks(data.draw(st.sampled_from(self.links)), [(kind, number, company)])

    def asks(self, speaker: Speaker, asks: list[tuple[str, int, str]]) -> None:
        frames = []
        for kind, number, company in asks:
            uid = len(self.asked)
            frame = ask(number, f"q{uid}", company, kind=kind, width=self.width)
            self.asked[uid] = Asked(speaker, frame, company, number, kind == "0400")
            frames.append(frame)
        speaker.sends(*frames)

    # --- answering ---------------------------------------------------------------------------------------------------

    @rule(data=st.data(), again=st.booleans(), parts=st.integers(1, 2))
    def somebody_answers(self, data: Any, again: bool, parts: int) -> None:
        """Any request that arrived, in any order; perhaps once more."""
        speaker = self.somebody(data, [each for each in self.sessions + self.links if self.inbox[each]])
        if speaker is None:
            return
        todo = data.draw(st.sampled_from(self.inbox[speaker]))
        text = f"r{todo.uid}".encode()
        if todo.frame[4:8] == b"0300":
            todo.part, todo.parts = todo.part + 1, max(todo.parts, parts)
            text = b"%02d%02d" % (todo.part, todo.parts) + text
        answer = answer_to(todo.frame, text, width=self.width)
        if not again and todo.part in (0, todo.parts):
            self.inbox[speaker].remove(todo)
        speaker.sends(answer, *([answer] if again and todo.part == 0 else []))

    @rule(data=st.data())
    def everybody_answers(self, data: Any) -> None:
        self.every_kernel_takes_all()
        for speaker in self.sessions + self.links:
            while self.inbox[speaker]:
                todo = self.inbox[speaker].pop(data.draw(st.integers(0, len(self.inbox[speaker]) - 1)))
                text = b"%02d%02dr%d" % (todo.part, todo.part, todo.uid) if todo.frame[4:8] == b"0300" else b"r%d" % todo.uid
                speaker.sends(answer_to(todo.frame, text, width=self.width))

    @rule(
        data=st.data(),
        number=NUMBERS,
        company=st.sampled_from(COMPANIES),
        kind=st.sampled_from(["death", "a reply", "a list", "a short list", "garbage"]),
    )
    def somebody_makes_trouble(self, data: Any, number: int, company: str, kind: str) -> None:
        speaker = self.somebody(data, self.sessions + self.links)
        if speaker is None:
            return
        if kind == "death":
            self.dies(speaker)
            return
        if kind == "garbage":
            self.foreign += 1
            speaker.sends(ask(number, "?", company, kind="0999", width=self.width))
        elif kind == "a short list":
            speaker.sends(framed(f"0310{number:0{self.width}}{company}    ".encode()))
        elif not any(
            each.on is speaker and (int(each.there), each.company) == (number, company) for each in self.asked.values()
        ):  # else it would be a good answer
            request = ask(number, "?", company, kind="0300" if kind == "a list" else "0200", width=self.width)
            speaker.sends(answer_to(request, width=self.width))

    @staticmethod
    def somebody(data: Any, among: list[Speaker]) -> Speaker | None:
        return data.draw(st.sampled_from(among)) if among else None

    # --- kernel, clock, journal ----------------------------------------------------------------------------------------

    @rule(data=st.data(), size=st.integers(1, 60))
    def a_kernel_takes_some(self, data: Any, size: int) -> None:
        speaker = self.somebody(data, [each for each in self.sessions + self.links if each.peer.unwritten])
        if speaker is not None:
            self.takes(speaker, min(size, speaker.peer.unwritten))

    @rule()
    def every_kernel_takes_all(self) -> None:
        for speaker in self.sessions + self.links:
            self.takes(speaker, speaker.peer.unwritten)

    @rule(step=st.sampled_from([0.1, 0.1, 0.1, 0.6, 0.6, 1.1, 1.1, 2.6, 5.1, 21.0]))
    def time_passes(self, step: float) -> None:
        self.talk.tick(self.talk.clock + step)

    @precondition(lambda self: isinstance(self.journal, HeldJournal) and (self.journal.requests or self.journal.answers))
    @rule(data=st.data())
    def the_journal_has_written_one(self, data: Any) -> None:
        held = data.draw(st.sampled_from([each for each in (self.journal.requests, self.journal.answers) if each]))
        exchange = held.pop(data.draw(st.integers(0, len(held) - 1)))
        release = self.talk.switch.release if held is self.journal.requests else self.talk.switch.release_answer
        release(exchange)

    # --- what the model sees -------------------------------------------------------------------------------------------

    def takes(self, speaker: Speaker, size: int) -> None:
        speaker.accepts(size)
        self.look_at(speaker)
        frames, speaker.looked = speaker.cut(speaker.history, speaker.looked)
        for frame in frames:
            self.arrives(speaker, frame)

    def look_at(self, speaker: Speaker) -> None:
        """Which requests this speaker's kernel has bytes of."""
        start = self.parsed[speaker]
        stream = speaker.history + b"".join(speaker.peer.outbox)
        while start < speaker.peer.accepted:
            size = 4 + int(stream[start : start + 4])
            frame = stream[start : start + size]
            start += size
            if start <= speaker.peer.accepted:
                self.parsed[speaker] = start
            if frame[4:8].decode() in REQUESTS:
                self.touches(speaker, frame)

    def touches(self, speaker: Speaker, frame: bytes) -> None:
        asked = self.of(frame)
        assert asked.on in (None, speaker), "its bytes were taken by two peers"
        assert asked.ended != "not sent", "it was said not to be sent"
        asked.on, asked.there = speaker, frame[8 : 8 + self.width]

    def of(self, frame: bytes) -> Asked:
        found = MARK.search(frame)
        assert found is not None
        return self.asked[int(found[2])]

    def arrives(self, speaker: Speaker, frame: bytes) -> None:
        if frame[4:8].decode() in REQUESTS:
            self.is_asked(speaker, frame)
        else:
            self.is_told(speaker, frame)

    def is_asked(self, speaker: Speaker, frame: bytes) -> None:
        asked = self.of(frame)
        end = 8 + self.width
        assert frame[:8] + asked.frame[8:end] + frame[end:] == asked.frame, "more than the carrier was rewritten"
        assert self.carrier or frame == asked.frame
        found = MARK.search(frame)
        assert found is not None
        todo = ToAnswer(frame, int(found[2]))
        assert not any(todo.uid == each.uid for each in self.inbox[speaker]), "it was given twice"
        if not asked.one_way:
            self.inbox[speaker].append(todo)

    def is_told(self, speaker: Speaker, frame: bytes) -> None:
        asked = self.of(frame)
        assert asked.asker is speaker, "an answer for somebody else"
        assert not asked.ended, "it was told before how this ended"
        assert not asked.one_way, "a one-way telegram was answered"
        body = frame[14 + self.width :]
        code = frame[10 + self.width : 14 + self.width]
        assert frame == answer_to(asked.frame, body, code, width=self.width), "not in its own words"
        if b"r" in body:
            assert asked.on is not None, "answered by nobody"
            listed = asked.frame[4:8] == b"0300"
            asked.ended = "answered" if not listed or body[:2] == body[2:4] else ""
        elif code == b"VTIM":
            assert asked.on is not None, "nobody can have executed it"
            asked.ended = "unknown"
        else:
            assert asked.on is None, "it may have been executed"
            asked.ended = "not sent"

    # --- what always holds ---------------------------------------------------------------------------------------------

    @invariant()
    def every_bound_holds(self) -> None:
        for service in self.talk.switch.services.values():
            assert len(service.waiting) <= service.policy.pending + self.returned
            register = service.register
            assert len(register.pending) + len(register.tombstones) <= register.space
            assert len(service.free) <= len(service.links)
            for link in service.links:
                assert 0 <= link.load <= link.limit
        for speaker in self.sessions:
            assert 0 <= speaker.peer.load <= speaker.peer.limit
            assert all(len(lane.open) <= lane.limit for lane in speaker.peer.lanes)

    @invariant()
    def every_telegram_is_accounted_for(self) -> None:
        received, ended = counted(self.talk.switch)
        assert received + self.foreign == ended + open_requests(self.talk)

    @invariant()
    def offsets_say_where_a_request_stands(self) -> None:
        for speaker in self.sessions + self.links:
            register = speaker.peer.register
            given = [
                each for each in [*(register.pending.values() if register else ()), *speaker.peer.oneway] if each.answerer is speaker.peer
            ]
            stream = speaker.history + b"".join(speaker.peer.outbox)
            for exchange in given:
                if exchange.offset < 1 << 62:
                    size = len(exchange.frame)
                    there = stream[exchange.offset : exchange.offset + size]
                    assert MARK.search(there[14:]) and self.of(there).frame == exchange.frame

    def teardown(self) -> None:
        """The journal writes, the kernels take, time passes: then every asker knows, and nothing is left."""
        if not hasattr(self, "talk"):
            return
        for _ in range(4):
            self.every_kernel_takes_all()
            self.journal_writes_all()
            self.talk.tick(self.talk.clock + 21.0)
        self.every_kernel_takes_all()
        self.every_telegram_is_accounted_for()
        for asked in self.asked.values():
            if not asked.asker.peer.closed and not asked.one_way:
                assert asked.ended, "nobody told it how this ended"
        assert self.talk.leftovers() == {}
        assert self.talk.switch.next_deadline() is None and self.talk.switch.idle

    def journal_writes_all(self) -> None:
        if isinstance(self.journal, HeldJournal):
            while self.journal.requests or self.journal.answers:
                if self.journal.requests:
                    self.talk.switch.release(self.journal.requests.pop())
                else:
                    self.talk.switch.release_answer(self.journal.answers.pop())


def counted(switch: Switch) -> tuple[int, int]:
    """Requests received, and requests that ended or were refused."""
    received = ended = 0
    for origin in [*switch.listeners.values(), *switch.services.values()]:
        received += sum(count for name, count in origin.received.items() if origin.spec.messages[name].kind != "reply")
        ended += sum(count for code, count in origin.refused.items() if code != "E-TXN-01")
        ended += sum(route.score.ok + sum(route.score.failed.values()) for route in origin.routes.routes)
    return received, ended


def open_requests(talk: Talk) -> int:
    switch = talk.switch
    registers = [service.register for service in switch.services.values()] + [listener.register for listener in switch.listeners.values()]
    one_way = sum(exchange.entry.untracked for service in switch.services.values() for exchange in service.waiting)
    one_way += sum(len(speaker.peer.oneway) for speaker in talk.speakers)
    for lane in (lane for speaker in talk.speakers for lane in speaker.peer.lanes):
        one_way += sum(each.entry.untracked for each in lane.requests._order)
    return sum(len(register.pending) for register in registers) + one_way


TestConversations = Conversations.TestCase
TestConversations.settings = settings(
    max_examples=2 * settings.default.max_examples,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
