"""What a live tail shows of a switch's traffic, and what it never shows."""

from __future__ import annotations

from typing import Any

import pytest
from running_router import betrayed

from telegram_router.ops import tail as tails
from telegram_router.ops.answers import TailLine
from telegram_router.ops.tail import Tail, Watcher
from telegram_router.ops.tail_filter import BadFilter, Filter, clear_fields
from tests.routing.conversation import Talk, credit, firm, reply_to, transfer


class Hub:
    """As much of one as a tail has to do with."""

    def __init__(self, talk: Talk) -> None:
        self.switch = talk.switch
        self.clock = talk.now
        self.readers: list[Any] = []

    def read_ended(self, read: Any) -> None:
        self.readers.append(read)
        self.switch.ended = []

    def read_ended_no_more(self, read: Any) -> None:
        self.readers.remove(read)
        self.switch.ended = None

    def end_turn(self) -> None:
        for read in self.readers:
            read(*self.switch.take_ended())


class Watched:
    """A bank, a host and somebody who watches."""

    def __init__(self, terms: str = "") -> None:
        self.talk = firm()
        self.hub = Hub(self.talk)
        self.faults: list[BaseException] = []
        self.tail = Tail(self.hub, self.faults.append, lambda: 0.0)  # type: ignore[arg-type]
        self.bank, self.host, self.lender = self.talk.session(), self.talk.link(), self.talk.link("other")
        self.watcher = Watcher(Filter(terms, clear_fields(self.talk.listener())))
        self.tail.join(self.watcher)

    def lines(self) -> list[TailLine]:
        self.hub.end_turn()
        return self.watcher.take()


def told(lines: list[TailLine]) -> list[tuple[str, ...]]:
    return [(each.direction, each.peer, each.message, each.result) for each in lines]


def test_a_telegram_is_shown_when_it_comes_and_when_it_ends():
    seen = Watched()
    seen.bank.sends(transfer(41), at=1.0)
    seen.host.got()
    seen.host.sends(reply_to(transfer(41)), at=1.25)
    lines = seen.lines()
    assert told(lines) == [
        ("in", "bank", "transfer.request", ""),
        ("in", seen.host.peer.name, "transfer.response", ""),
        ("out", "bank", "transfer.request", "ok"),
    ]
    first, _, last = lines
    assert (first.listener, first.service, first.telegram["message_number"]) == ("branches", "transfer", "000041")
    assert (last.code, last.delivery, last.took_ms, last.telegram) == ("", "answered", 250.0, first.telegram)
    assert first.time == "1970-01-01T00:00:00.000000Z"


def test_refusals_late_replies_and_failures_are_shown_with_their_codes():
    seen = Watched("code=E-*")
    seen.bank.sends(transfer(1), transfer(1))
    seen.host.got()
    seen.talk.tick(at=60.0)
    seen.host.sends(reply_to(transfer(1)), at=61.0)
    lines = seen.lines()
    assert [(each.direction, each.code, each.result, each.delivery) for each in lines] == [
        ("out", "E-DUP-01", "duplicate", "not_sent"),
        ("out", "E-BCK-05", "timeout", "sent_unknown"),
        ("none", "E-BCK-07", "late_reply", ""),
    ]


def test_nothing_is_shown_but_clear_fields():
    seen = Watched()
    seen.bank.sends(transfer(1))
    seen.host.got()
    seen.host.sends(reply_to(transfer(1)))
    lines = seen.lines()
    assert lines and not betrayed(repr(lines))
    assert {name for each in lines for name in each.telegram} <= clear_fields(seen.talk.listener())


@pytest.mark.parametrize(
    ("terms", "numbers"),
    [
        ("", ["000001", "000002", "000003"]),
        ("message=transfer.request", ["000001", "000003"]),
        ("transfer.*", ["000001", "000003"]),
        ("service=other", ["000002"]),
        ("listener=branches peer=bank", ["000001", "000002", "000003"]),
        ("listener=branches peer=nobody", []),
        ("message_number=000003", ["000003"]),
        ("message_number=00000* message_type=5000", ["000002"]),
        ("direction=out", []),
        ("result=ok", []),
    ],
)
def test_a_filter_takes_what_fits_all_its_terms(terms: str, numbers: list[str]):
    seen = Watched(terms)
    seen.bank.sends(transfer(1), credit(2), transfer(3))
    seen.bank.sends(b"0300" + b"?" * 300)  # no message of the spec
    found = [each.telegram["message_number"] for each in seen.lines() if each.message and each.direction == "in"]
    assert found == numbers


@pytest.mark.parametrize("terms", ["amount=1", "account=*", "nothing=1", "message=", "peer=", "x" * 600, "a " * 17])
def test_a_filter_that_asks_for_what_may_not_be_shown_is_refused(terms: str):
    with pytest.raises(BadFilter):
        Filter(terms, {"message_number"})


def test_a_field_that_one_message_does_not_show_is_clear_in_none():
    listener = firm().listener()
    assert "message_number" in clear_fields(listener)
    assert not clear_fields(listener) & {"withdrawal_account", "amount", "memo"}


def test_a_flood_is_dropped_and_counted_and_what_comes_later_is_shown():
    seen = Watched()
    seen.bank.sends(*(transfer(number) for number in range(1, 101)), at=1.0)
    lines = seen.lines()
    assert len(lines) == tails.IN_A_WINDOW and lines[0].dropped == 100 - len(lines)
    seen.bank.sends(transfer(900), at=1.0 + tails.WINDOW)
    assert [each.telegram["message_number"] for each in seen.lines()] == ["000900"]
    chosen = Watched("message=transfer.request direction=in")
    chosen.bank.sends(credit(1), *(transfer(number) for number in range(1, 101)), at=1.0)
    assert chosen.lines()[0].dropped == 100 - tails.IN_A_WINDOW


def test_who_filters_a_flood_looks_at_so_many_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tails, "LOOKS", 10)
    seen = Watched("message_number=000030")
    for number in range(1, 31):
        seen.bank.sends(transfer(number), at=1.0)
    assert seen.lines() == []
    seen.bank.sends(transfer(30, company="C002"), at=2.0)
    (line,) = seen.lines()
    assert line.dropped >= 20


def test_lines_that_nobody_takes_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tails, "WAITING", 5)
    seen = Watched()
    for number in range(1, 21):
        seen.bank.sends(transfer(number), at=float(number))
    lines = seen.lines()
    assert len(lines) == 5 and lines[0].dropped == 15


def test_nobody_watches_and_nothing_is_called():
    seen = Watched()
    assert seen.talk.switch.tap is not None and seen.talk.switch.ended is not None
    seen.tail.leave(seen.watcher)
    seen.tail.leave(seen.watcher)
    assert seen.talk.switch.tap is None and seen.talk.switch.ended is None and not seen.hub.readers


def test_a_fault_of_the_tail_is_told_and_costs_no_telegram(monkeypatch: pytest.MonkeyPatch):
    seen = Watched()
    monkeypatch.setattr(tails, "_between", lambda *_: 1 / 0)
    seen.bank.sends(transfer(1))
    assert [type(fault) for fault in seen.faults] == [ZeroDivisionError]
    assert seen.talk.switch.tap is None and seen.host.got() == [transfer(1)]
