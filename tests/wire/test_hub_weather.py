"""Any weather: clients, hosts and time do what they like, and every request still ends once, with the truth about it."""

from __future__ import annotations

import ssl
from random import Random

import pytest
from hub_kit import POLL, End, Seen, World, cut, framed, news, reply, request
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.routing import ServicePolicy
from telegram_router.wire.connection import Limits

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


class Weather:
    """One world and the chances in it."""

    def __init__(self, chance: Random, contexts: Contexts) -> None:
        self.chance = chance
        self.contexts = contexts
        self.world = World(
            policies={"transfer": ServicePolicy(timeout=20, in_flight=chance.choice([3, 256]), pending=20)},
            open_exchanges=chance.choice([1, 8, 256]),
            limits=Limits(unread=chance.choice([50, 262_144])),
        )
        self.number = 0
        self.clients: list[Client] = []
        self.hosts: list[Host] = []
        for _ in range(2):
            self.new_client()
            self.new_host()

    def new_client(self) -> None:
        tls = self.chance.random() < 0.25
        end = self.world.client(
            self.chance.choice([60, 65_536]) if not tls else 65_536,
            **({"tls": self.contexts[0], "trusts": self.contexts[1]} if tls else {}),
        )
        self.clients.append(Client(end, f"C{len(self.clients):03}"))

    def new_host(self) -> None:
        tls = self.chance.random() < 0.25
        end = self.world.host(
            window=self.chance.choice([50, 65_536]) if not tls else 65_536,
            **({"tls": self.contexts[0], "trusts": self.contexts[1]} if tls else {}),
        )
        self.hosts.append(Host(end))

    # -- what may happen

    def asks(self) -> None:
        client = self.chance.choice(self.clients)
        frames = []
        for _ in range(self.chance.choice([1, 2, 10, 100])):
            self.number += 1
            frames.append(request(self.number, company=client.company, body=bytes(self.chance.choice([0, 3, 50]))))
        client.pushes(b"".join(frames), self.number - len(frames) + 1, self.number)
        self.turns()

    def says_something_else(self) -> None:
        client = self.chance.choice(self.clients)
        client.pushes(self.chance.choice([POLL, news(999_999), framed("0210", 999_998, "TR", client.company, b"")]))
        self.turns()

    def sends_half(self) -> None:
        """The rest of it never comes, or is something else."""
        self.chance.choice(self.clients).breaks(request(999_997)[: self.chance.randrange(1, 20)])
        self.turns()

    def answers(self) -> None:
        host = self.chance.choice(self.hosts)
        open_now = host.reads()
        self.chance.shuffle(open_now)
        keep = self.chance.randrange(len(open_now) + 1) if self.chance.random() < 0.3 else 0
        host.waiting = open_now[:keep]
        told = [reply(number, company=company) for number, company in open_now[keep:]]
        if told and self.chance.random() < 0.2:
            told.append(told[0])
        if self.chance.random() < 0.1:
            told.append(reply(888_888))
        host.pushes(b"".join(told))
        self.turns()

    def host_asks(self) -> None:
        host, client = self.chance.choice(self.hosts), self.chance.choice(self.clients)
        self.number += 1
        host.pushes(request(self.number, company=client.company))
        self.turns()

    def reads(self) -> None:
        client = self.chance.choice(self.clients)
        client.reads()
        self.turns()
        for number in client.asked_by_hosts:
            client.pushes(reply(number, company=client.company))
        client.asked_by_hosts.clear()
        self.turns()

    def stalls(self) -> None:
        host = self.chance.choice(self.hosts)
        host.end.far.takes(self.chance.randrange(80))

    def moves_on(self) -> None:
        self.chance.choice(self.hosts).end.far.takes_all()
        self.turns()

    def host_goes(self) -> None:
        host = self.chance.choice(self.hosts)
        host.goes(self.chance.choice(["reset", "close", "fin"]))
        self.turns()
        if self.chance.random() < 0.8:
            self.new_host()

    def client_goes(self) -> None:
        self.chance.choice(self.clients).goes(self.chance.choice(["reset", "close", "fin"]))
        self.turns()
        if self.chance.random() < 0.8:
            self.new_client()

    def time_passes(self) -> None:
        self.world.passes(self.chance.choice([0.01, 0.3, 1.1, 6, 11]))

    def turns(self) -> None:
        if self.chance.random() < 0.7:
            self.world.settle()
        else:
            self.world.turn()
        self.world.assert_books_agree()

    # -- the end

    def clears_up(self) -> None:
        """Everybody who is still there does what is asked of him, until nothing moves any more."""
        for host in self.hosts:
            host.end.far.takes_all()
        self.new_host()
        self.everybody_works()
        self.world.passes(31)  # what went to hosts that are gone, and what clients owe that are gone
        self.everybody_works()
        self.world.passes(31)
        self.everybody_works()

    def everybody_works(self) -> None:
        still = 0
        while still < 5:
            moved = 0
            for host in self.hosts:
                told = [reply(number, company=company) for number, company in host.reads()]
                moved += len(told)
                host.pushes(b"".join(told))
            self.world.settle()
            for client in self.clients:
                moved += client.reads()
                for number in client.asked_by_hosts:
                    client.pushes(reply(number, company=client.company))
                client.asked_by_hosts.clear()
            self.world.settle()
            self.world.passes(0.3)
            still = 0 if moved else still + 1

    def judge(self) -> None:
        carried = [number for host in self.hosts for number, _ in host.carried]
        assert len(carried) == len(set(carried)), "a request was sent twice"
        torn = {number for host in self.hosts for number in host.torn_numbers()}
        for client in self.clients:
            outcomes: dict[int, str] = {}
            for each in client.told:
                if each.number < 800_000:
                    assert each.number not in outcomes, "answered twice"
                    outcomes[each.number] = each.kind
                    assert each.number in client.asked, "an answer to somebody else's request"
            for number, kind in outcomes.items():
                if kind == "not_sent":
                    assert number not in carried and number not in torn, "said to be not sent, and was"
                elif kind == "reply":
                    assert number in carried
            if client.well:
                assert set(outcomes) == client.asked, "a request without an answer"
        self.world.assert_at_rest()
        assert not self.world.bugs
        self.world.close()


class Client:
    def __init__(self, end: End, company: str) -> None:
        self.end = end
        self.company = company
        self.asked: set[int] = set()
        self.told: list[Seen] = []
        self.asked_by_hosts: list[int] = []
        self.well = True  # neither went away nor broke its stream
        self._silent = False

    def pushes(self, data: bytes, first: int = 1, last: int = 0) -> None:
        if self._silent or self.end.far.closed:
            self.well = False
            return
        self.asked |= {*range(first, last + 1)}
        self.end.says(data)

    def breaks(self, data: bytes) -> None:
        self.pushes(data)
        self.well = False
        self._silent = True

    def reads(self) -> int:
        got = self.end.got()
        for each in got:
            if each.kind == "request":
                self.asked_by_hosts.append(each.number)
            else:
                self.told.append(each)
        if self.end.far.ended:
            self.well = False
        return len(got)

    def goes(self, how: str) -> None:
        if self._silent or self.end.far.closed:
            return
        self._silent = True
        if how != "fin":
            self.well = False
        getattr(self.end.far, how)()


class Host:
    def __init__(self, end: End) -> None:
        self.end = end
        self.waiting: list[tuple[int, str]] = []
        self.carried: list[tuple[int, str]] = []
        self._gone = False
        self._rest = b""

    def reads(self) -> list[tuple[int, str]]:
        frames, self._rest = cut(self._rest + self.end.plain())
        for frame in frames:
            if frame[4:8] == b"0200":
                self.carried.append((int(frame[14:20]), frame[10:14].decode()))
                self.waiting.append(self.carried[-1])
        waiting, self.waiting = self.waiting, []
        return waiting

    def torn_numbers(self) -> list[int]:
        return [int(self._rest[14:20])] if len(self._rest) >= 20 else []

    def pushes(self, data: bytes) -> None:
        if data and not self._gone and not self.end.far.closed:
            self.end.says(data)

    def goes(self, how: str) -> None:
        if not self._gone and not self.end.far.closed:
            self._gone = True
            getattr(self.end.far, how)()


WHAT_HAPPENS = [
    (Weather.asks, 8), (Weather.answers, 10), (Weather.reads, 6), (Weather.time_passes, 3), (Weather.stalls, 2), (Weather.moves_on, 2),
    (Weather.host_goes, 1), (Weather.client_goes, 1), (Weather.says_something_else, 1), (Weather.sends_half, 0.3), (Weather.host_asks, 1),
]  # fmt: skip


def live_through(seed: int, contexts: Contexts, steps: int = 60) -> None:
    weather = Weather(Random(seed), contexts)
    happenings, weights = [each for each, _ in WHAT_HAPPENS], [weight for _, weight in WHAT_HAPPENS]
    for _ in range(steps):
        weather.chance.choices(happenings, weights)[0](weather)
    weather.clears_up()
    weather.judge()


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_happens_every_request_ends_once_and_with_the_truth(contexts: Contexts, seed: int) -> None:
    live_through(seed, contexts)


@pytest.mark.parametrize("seed", range(3))
def test_and_so_through_a_long_day(contexts: Contexts, seed: int) -> None:
    live_through(seed, contexts, steps=600)
