"""What is known when the demo is over: from what the parties saw themselves and from what the hosts recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telegram_router.demo.books import Asked, Books, Entry
from telegram_router.demo.hosts import recording
from telegram_router.demo.parties import Company
from telegram_router.demo.recordings import core_book, credit_book, line_book, notices_told
from telegram_router.demo.telegrams import NOBODY
from telegram_router.telegrams import Spec


@dataclass
class Held:
    """A transfer that was open when the host was killed, and in whose hands it was."""

    asked: Asked
    company: str
    hands: str  # "transfer-1", "transfer-2", "router", or "wire" when the answer is on its way
    executed: bool = False
    inquiry: Asked | None = None


@dataclass
class Record:
    """What is to be shown at the end."""

    books: Books
    held: list[Held]
    not_sent_in_burst: int
    sample: tuple[bytes, bytes]  # frames of a request and its answer
    credit_sample: tuple[object, object]  # what the credit service was asked first, and its answer
    seconds: float
    refusals: list[tuple[str, str]] = field(default_factory=list)  # what was tried, response code


@dataclass
class Played:
    """What was seen while it was played."""

    companies: list[Company]
    killed_at: float = 0.0
    open_then: list[tuple[Asked, str]] = field(default_factory=list)  # transfers without an answer at the kill, and whose
    not_sent_in_burst: int = 0
    unknown_by_router: int = 0
    router_exit: int | None = None
    credits: list[dict[str, Any]] = field(default_factory=list)  # requests of the credit service, with their answers
    results: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # of transfers, as the core remembers them
    paid_out: int = 0
    not_met: int = 0  # of what the simulated hosts expect
    refusals: list[tuple[str, str]] = field(default_factory=list)  # what was tried, response code
    seconds: float = 0.0


def record_of(spec: Spec, folder: Path, played: Played) -> Record:
    """What everybody has seen and written down, put together."""
    companies, core = played.companies, recording(folder, "core")
    lines = [("transfer-1", "transfer-1"), ("transfer-1", "transfer-1-again"), ("transfer-2", "transfer-2")]
    ledger = [entry for host, name in lines for entry in line_book(spec, recording(folder, name), host)]
    ledger += core_book(spec, core, played.results, "core")
    books = Books(
        [company.book for company in companies],
        ledger,
        credit_book(played.credits, "credit"),
        notices_told(spec, core),
        frozenset({NOBODY}),
        played.unknown_by_router,
        played.router_exit,
        played.paid_out,
        played.not_met,
    )
    sample = next(each.key for each in companies[0].book.asked.values() if each.kind == "transfer" and each.outcome == "done")
    first = played.credits[0]
    return Record(
        books=books,
        held=_held(played, books),
        not_sent_in_burst=played.not_sent_in_burst,
        sample=companies[0].seen[sample],
        credit_sample=(first["asked"], first["answer"]),
        seconds=played.seconds,
        refusals=played.refusals,
    )


def _held(played: Played, books: Books) -> list[Held]:
    """In whose hands the open transfers were when the line was killed, and what became of them."""
    received = {entry.key: entry for entry in books.ledger if entry.event == "received"}
    answered = {entry.key for entry in books.ledger if entry.event == "answered" and entry.at < played.killed_at}
    executed = {entry.key for entry in books.ledger if entry.event == "executed"}
    inquiries = {each.about: each for each in books.asked("inquiry")}
    return [
        Held(
            asked,
            company,
            _hands(received.get(asked.key), asked.key in answered, played.killed_at),
            asked.key in executed,
            inquiries.get(asked.key),
        )
        for asked, company in played.open_then
    ]


def _hands(received: Entry | None, answered: bool, at: float) -> str:
    if answered:
        return "wire"
    return received.host if received is not None and received.at < at else "router"
