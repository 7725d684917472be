"""Links in every role, whatever their hosts do: no answer goes to another's request, none ends twice, none is sent twice.

Left out is only what no router can see where replies carry no key: a host that leaves one request unanswered and answers the
next with the same message in time, and a reply that nobody asked for which comes while one is awaited.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from construct import Struct
from conversation import PART, Speaker, Talk, framed, one_service
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from telegram_router.routing import Close, Exchange, Mode, Pair
from telegram_router.telegrams import Code, ErrorReply, Family, Framing, LengthField, Message, Opaque, Plus, Reply, Spec, compile_family

TIMEOUT, GRACE, WAITS = 5.0, 2.0, 1.5
ANSWERED = re.compile(rb"r(\d+)$")


@cache
def line(*, keyed: bool) -> Spec:
    """Type, tag and code in the header; the tag pairs replies, or nothing does."""
    text = Struct("text" / Opaque())
    return compile_family(
        Family(
            name="line",
            header=Struct("type" / Code(4, required=True), "tag" / Code(6, digits=True, required=True), "code" / Code(4)),
            framing=Framing(LengthField(), header=14),
            key=("type",),
            correlation=("tag",) if keyed else (),
            reply_rule=Plus("type", 10),
            errors=ErrorReply("code", not_sent="NO", sent_unknown="VTIM"),
            messages=[
                Message("ask.request", key=("0200",), body=text, reply=Reply.one("ask.response")),
                Message("ask.response", key=("0210",), body=text, kind="reply"),
                Message(
                    "list.request",
                    key=("0300",),
                    body=text,
                    reply=Reply.until("list.part", current="body.part", total="body.parts"),
                ),
                Message("list.part", key=("0310",), body=PART, kind="reply"),
                Message("letter", key=("0400",), body=text, kind="oneway", reply=Reply.none()),
            ],
        )
    )


class HostLink:
    """A host's end of one link: where requests come, where replies go, and what has come and is not answered."""

    def __init__(self, out: Speaker | None, back: Speaker | None, pair: Pair | None = None) -> None:
        self.out, self.back, self.pair = out, back, pair
        self.inbox: list[bytes] = []
        self.part = 0  # of the list at the head of the inbox
        self.silent = False  # it is late with the oldest request, and answers nothing until the router has given that up
        self.doubted = False  # it has sent what the router must have seen to be wrong: from then on it may answer in any order

    def expects(self, kind: bytes) -> bool:
        """Whether the router would take a reply without a key for the answer to such a request."""
        peer = self.out.peer if self.out is not None else None
        if peer is None or peer.turns is None:
            return False
        due = peer.turns.due(peer.accepted)
        return due is not None and due.frame[4:8] == kind


class Roles(RuleBasedStateMachine):
    @initialize(
        role=st.sampled_from(["fifo", "fifo with a key", "exclusive", "exclusive with a key", "pair", "exclusive pair"]),
        grace=st.sampled_from([0.0, GRACE]),
    )
    def begin(self, role: str, grace: float) -> None:
        mode = Mode(role.split()[0]) if not role.startswith("pair") else Mode.PIPELINED
        self.keyed = "key" in role or "pair" in role
        self.by_order = mode is Mode.FIFO or not self.keyed
        self.paired = "pair" in role
        policy: dict[str, Any] = {"timeout": TIMEOUT, "pending_timeout": WAITS, "poison_grace": grace, "tombstone": 20.0}
        self.talk: Talk = one_service(line(keyed=self.keyed), mode=mode, in_flight=4, pending=6, **policy)
        self.deliver = self.talk.switch.release_answer
        self.talk.switch.release_answer = self.pairs  # type: ignore[method-assign]
        self.kinds: dict[int, str] = {}  # of every request ever made
        self.askers: dict[int, Speaker] = {}
        self.asked_at: dict[int, float] = {}
        self.ended: dict[int, str] = {}
        self.reached: set[int] = set()  # whole, at a host
        self.sessions = [self.talk.session("one"), self.talk.session("two")]
        self.hosts: list[HostLink] = []
        self.a_link_comes()

    def pairs(self, exchange: Exchange) -> None:
        """Within one session, too, an answer is that of its request."""
        found = ANSWERED.search(exchange.reply or b"")
        assert found is None or int(found[1]) == uid_of(exchange.frame), "an answer to something else"
        self.deliver(exchange)

    # --- who comes and goes -----------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.hosts) < 2)
    @rule()
    def a_link_comes(self) -> None:
        if not self.paired:
            out = self.talk.link(backend="one")
            self.hosts.append(HostLink(out, out))
            return
        self.hosts.append(HostLink(None, None, Pair()))
        self.a_half_returns(self.hosts[-1], requests=True)
        self.a_half_returns(self.hosts[-1], requests=False)

    def a_half_returns(self, host: HostLink, *, requests: bool) -> None:
        switch, service, name = self.talk.switch, self.talk.service(), f"half#{len(self.talk.speakers)}"
        assert host.pair is not None
        if requests and host.out is None:
            host.out = self.talk._speaker(switch.add_link(service, name, "one", self.talk.clock, host.pair))
        if not requests and host.back is None:
            host.back = self.talk._speaker(switch.add_reply_link(service, name, "one", host.pair, self.talk.clock))

    @precondition(lambda self: self.paired and self.hosts)
    @rule(data=st.data(), requests=st.booleans(), returns=st.booleans())
    def a_half_comes_or_goes(self, data: Any, requests: bool, returns: bool) -> None:
        host = data.draw(st.sampled_from(self.hosts))
        if returns:
            self.a_half_returns(host, requests=requests)
        elif requests:
            self.loses(host, host.out)
        else:
            self.loses(host, host.back)

    @precondition(lambda self: self.hosts)
    @rule(data=st.data())
    def a_link_goes(self, data: Any) -> None:
        host = data.draw(st.sampled_from(self.hosts))
        self.loses(host, host.out)
        self.loses(host, host.back)

    def loses(self, host: HostLink, speaker: Speaker | None) -> None:
        if speaker is None or speaker.peer.closed:
            return
        self.look(host)
        speaker.dies()
        if host.out is speaker:
            host.out = None
        if host.back is speaker:
            host.back = None
        if host.pair is None:
            self.hosts.remove(host)

    @precondition(lambda self: len(self.sessions) > 1)
    @rule()
    def a_session_goes(self) -> None:
        self.sessions.pop().dies()
        self.sessions.append(self.talk.session(f"session#{len(self.talk.speakers)}"))

    # --- asking and answering ---------------------------------------------------------------------------------------

    @rule(
        who=st.integers(0, 1),
        kinds=st.lists(st.sampled_from(["0200", "0200", "0200", "0300", "0400"]), min_size=1, max_size=4),
        taken=st.sampled_from([True, True, False]),
    )
    def a_session_asks(self, who: int, kinds: list[str], taken: bool) -> None:
        session = self.sessions[who % len(self.sessions)]
        frames = []
        for kind in kinds:
            uid = len(self.kinds)
            self.kinds[uid], self.askers[uid], self.asked_at[uid] = kind, session, self.talk.clock
            frames.append(framed(f"{kind}{uid:06}    q{uid}".encode()))
        session.sends(*frames)
        for host in self.hosts if taken else ():
            self.takes(host, 1 << 20)
        self.settle()

    def takes(self, host: HostLink, size: int) -> None:
        if host.out is not None:
            host.out.accepts(min(size, host.out.peer.unwritten))
        self.look(host)

    @precondition(lambda self: self.hosts)
    @rule(data=st.data(), size=st.one_of(st.integers(1, 40), st.just(1 << 20)))
    def a_kernel_takes(self, data: Any, size: int) -> None:
        self.takes(data.draw(st.sampled_from(self.hosts)), size)

    @precondition(lambda self: self.hosts)
    @rule(data=st.data(), parts=st.integers(1, 2), batch=st.integers(1, 3))
    def a_host_answers(self, data: Any, parts: int, batch: int) -> None:
        host = data.draw(st.sampled_from(self.hosts))
        if host.back is None or not host.inbox:
            return
        if host.silent and self.talk.clock < self.asked_at[uid_of(host.inbox[0])] + TIMEOUT:
            return
        host.silent = False
        frames = []
        for _ in range(batch):
            if not host.inbox:
                break
            place = 0 if self.by_order and not host.doubted else data.draw(st.integers(0, len(host.inbox) - 1))
            if host.part:  # it goes on with the list that it has begun
                place = 0
            frames += self.answers(host, place, parts)
        host.back.sends(*frames)
        self.settle()

    def answers(self, host: HostLink, place: int, parts: int) -> list[bytes]:
        request = host.inbox[place]
        if request[4:8] == b"0300":
            host.inbox.insert(0, host.inbox.pop(place))
            host.part += 1
            last = host.part >= parts
            frame = self.reply(request, b"%02d%02d" % (host.part, host.part if last else host.part + 1))
            if not last:  # a list says beforehand how many parts it has
                frame = self.reply(request, b"%02d%02d" % (host.part, parts))
            if last:
                host.part = 0
                host.inbox.pop(0)
            return [frame]
        host.inbox.pop(place)
        return [self.reply(request)]

    def reply(self, request: bytes, front: bytes = b"") -> bytes:
        kind = b"%04d" % (int(request[4:8]) + 10)
        tag = b"999999" if self.by_order else request[8:14]
        return framed(kind + tag + b"    " + front + b"r%d" % uid_of(request))

    @precondition(lambda self: self.hosts)
    @rule(data=st.data())
    def a_host_is_late_or_loses_a_request(self, data: Any) -> None:
        host = data.draw(st.sampled_from(self.hosts))
        if not host.inbox or host.part:
            return
        if self.by_order:
            host.silent = True
        else:
            host.inbox.pop(0)

    @precondition(lambda self: self.hosts)
    @rule(data=st.data(), how=st.sampled_from(["a reply", "a list", "no message", "a second reply"]))
    def a_host_makes_trouble(self, data: Any, how: str) -> None:
        host = data.draw(st.sampled_from(self.hosts))
        if host.back is None:
            return
        if how == "no message":
            host.back.sends(framed(b"0999000000    "))
            host.doubted = True
        elif how == "a second reply" and not self.by_order and host.inbox and not host.part and host.inbox[0][4:8] == b"0200":
            answer = self.reply(host.inbox.pop(0))
            host.back.sends(answer, answer)
        elif not host.expects(b"0300" if how == "a list" else b"0200"):
            kind = b"0310999999    0101" if how == "a list" else b"0210999999    "
            host.back.sends(framed(kind + b"x"))
            host.doubted = True
        self.settle()

    @rule(step=st.sampled_from([0.1, 0.5, 1.0, 1.6, 2.1, 2.1, 3.1, 5.1]))
    def time_passes(self, step: float) -> None:
        self.talk.tick(self.talk.clock + step)
        self.settle()

    # --- what the model sees ----------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Connections that the switch wants closed are closed, and every session reads what it is told."""
        orders, self.talk.switch.commands = self.talk.switch.commands, []
        for order in orders:
            assert isinstance(order, Close)
            for host in list(self.hosts):
                for speaker in (host.out, host.back):
                    if speaker is not None and speaker.peer is order.peer:
                        self.loses(host, speaker)
        for session in self.sessions:
            for frame in session.got():
                self.is_told(session, frame)

    def look(self, host: HostLink) -> None:
        """What has come to a host as a whole."""
        out = host.out
        if out is None:
            return
        frames, out.looked = out.cut(out.history, out.looked)
        for frame in frames:
            uid = uid_of(frame)
            assert uid not in self.reached, "it was sent twice"
            assert self.ended.get(uid) != "not sent", "it was said not to be sent"
            self.reached.add(uid)
            if frame[4:8] != b"0400":
                host.inbox.append(frame)

    def is_told(self, session: Speaker, frame: bytes) -> None:
        found, code = ANSWERED.search(frame), frame[14:18]
        if found is None or code.strip():
            uid, end = int(frame[8:14]), "unknown" if code == b"VTIM" else "not sent"
        else:
            uid, end = int(found[1]), "answered"
        assert self.askers[uid] is session, "an answer for somebody else"
        assert uid not in self.ended, "it ended before"
        assert end != "not sent" or uid not in self.reached, "it had been sent"
        if end != "answered" or self.kinds[uid] != "0300" or frame[18:20] == frame[20:22]:
            self.ended[uid] = end

    @invariant()
    def every_bound_holds(self) -> None:
        service = self.talk.service()
        assert set(service.spoiled) <= set(service.leaving)
        for link in service.links:
            assert 0 <= link.load <= link.limit and not (link.turns is not None and link.turns.spoiled)
            assert link.pair is None or link.pair.whole
            given = sum(each.answerer is link for each in service.register.pending.values()) + len(link.oneway)
            assert link.load == given
            if link.turns is not None:
                assert list(link.turns.asked) == sorted(link.turns.asked, key=lambda each: each.offset)
                assert all(each.answerer is link and not each.settled for each in link.turns.asked)

    def teardown(self) -> None:
        if not hasattr(self, "talk"):
            return
        for _ in range(6):
            for host in self.hosts:
                self.takes(host, 1 << 20)
            self.talk.tick(self.talk.clock + 21.0)
            self.settle()
        for uid, asker in self.askers.items():
            if not asker.peer.closed and self.kinds[uid] != "0400":
                assert uid in self.ended, "nobody told it how this ended"
        assert self.talk.leftovers() == {}
        assert self.talk.switch.next_deadline() is None and self.talk.switch.idle


def uid_of(frame: bytes) -> int:
    """Of a request: its tag is its number."""
    return int(frame[8:14])


TestLinksInEveryRole = Roles.TestCase
TestLinksInEveryRole.settings = settings(
    max_examples=2 * settings.default.max_examples,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
