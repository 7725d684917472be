"""What every party of the demo writes down, and whether their books agree. Pure, so that a test can falsify one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

Key = tuple[str, str]  # company number and message number, as in the telegram

OK: Final = "0000"
UNKNOWN: Final = "VTIM"
SHORT_OF_FUNDS: Final = "0051"  # a host's refusal
REJECTED: Final = "SB08"  # the router's word for a service's definite refusal
OF_HOSTS: Final = frozenset((SHORT_OF_FUNDS, REJECTED))
NOT_ON_RECORD: Final = "NREC"
OUTCOMES: Final = ("done", "refused", "not_sent", "unknown", "silence")


@dataclass
class Asked:
    """One request of a company."""

    key: Key
    kind: str  # "open", "transfer", "credit" or "inquiry"
    amount: int
    sent_at: float
    payee: str = ""
    replies: list[tuple[float, str]] = field(default_factory=list)  # when, response code
    about: Key | None = None  # of an inquiry: what it asks for
    result: str = ""  # of an inquiry
    within: bool = False  # the payee has an account at the same bank

    @property
    def code(self) -> str:
        return self.replies[0][1] if self.replies else ""

    @property
    def outcome(self) -> str:
        """done, refused (by whoever was to do it), not_sent, unknown, or silence."""
        if not self.replies:
            return "silence"
        if self.code == OK:
            return "done"
        if self.code == UNKNOWN:
            return "unknown"
        return "refused" if self.code in OF_HOSTS else "not_sent"


@dataclass
class CompanyBook:
    """What a company sent and got."""

    name: str
    number: str
    asked: dict[Key, Asked] = field(default_factory=dict)
    notices: list[Key] = field(default_factory=list)  # as they came
    strays: int = 0  # answers to nothing, or to something answered already


@dataclass(frozen=True)
class Entry:
    """One line of a host's book. `event` is received, executed, refused or answered; `at` is in seconds since 1970."""

    at: float
    host: str
    event: str
    key: Key
    amount: int = 0


@dataclass
class Notice:
    """One deposit notice (수신) of the bank, and the codes that came back."""

    key: Key
    amount: int
    codes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Books:
    """All books at the end of the demo."""

    companies: Sequence[CompanyBook]
    ledger: Sequence[Entry]  # of the transfer hosts
    credit: Sequence[Entry]  # of the HTTP service
    notices: Mapping[Key, Notice]  # of the bank
    nobody: frozenset[str] = frozenset()  # companies that are not connected
    unknown_by_router: int | None = None  # the router's own count of transfers and credits that ended unknown
    router_exit: int | None = 0  # the exit code of its process
    paid_out: int | None = None  # won by which the bank's accounts hold less than at the beginning
    not_met: int = 0  # of what the simulated hosts expect

    def asked(self, kind: str) -> list[Asked]:
        return [each for company in self.companies for each in company.asked.values() if each.kind == kind]


@dataclass(frozen=True)
class Check:
    """One line of the reconciliation: two counts, from different books, that must be equal."""

    claim: str
    left: str
    left_count: int
    right: str
    right_count: int

    @property
    def agrees(self) -> bool:
        return self.left_count == self.right_count


def reconcile(books: Books) -> list[Check]:
    """Hold the books of all parties against each other."""
    return [*_answers(books), *_service(books, "transfer", books.ledger), *_service(books, "credit", books.credit), *_rest(books)]


def _answers(books: Books) -> Iterator[Check]:
    for company in books.companies:
        asked = list(company.asked.values())
        once = sum(len(each.replies) == 1 for each in asked)
        yield Check(f"{company.name}: one answer to each telegram", "sent", len(asked), "answered once", once)
    yield Check("no answer goes astray", "strays", sum(company.strays for company in books.companies), "expected", 0)


def _service(books: Books, kind: str, ledger: Sequence[Entry]) -> Iterator[Check]:
    asked = books.asked(kind)
    ended: dict[str, set[Key]] = {name: {each.key for each in asked if each.outcome == name} for name in OUTCOMES}
    received, executed = _keys(ledger, "received"), _keys(ledger, "executed")
    reached = ended["done"] | ended["refused"] | (ended["unknown"] & set(received))
    believed = ended["done"] | _found(books, ended["unknown"])
    amounts = {each.key: each.amount for each in asked}
    sums = " + ".join(f"{len(keys)} {name}" for name, keys in ended.items() if keys)
    yield Check(f"{kind}: each has an outcome", "sent", len(asked), sums, sum(map(len, ended.values())))
    yield Check(f"{kind}: hosts got what they should", "received", len(received), "answered or unknown", len(reached))
    yield Check(f"{kind}: `not_sent` is true", "received all the same", len(ended["not_sent"] & set(received)), "expected", 0)
    yield Check(f"{kind}: nothing is received twice", "received", len(received), "different", len(set(received)))
    yield Check(f"{kind}: nothing is executed twice", "executed", len(executed), "different", len(set(executed)))
    yield Check(f"{kind}: companies know what was done", "executed", len(set(executed) & believed), "known", len(believed))
    yield Check(f"{kind}: nothing is done unknown to them", "executed unknown", len(set(executed) - believed), "expected", 0)
    money = sum(entry.amount for entry in ledger if entry.event == "executed")
    yield Check(f"{kind}: the money agrees", "won executed", money, "won known", sum(amounts[key] for key in believed))


def _keys(ledger: Iterable[Entry], event: str) -> list[Key]:
    return [entry.key for entry in ledger if entry.event == event]


def _found(books: Books, unknown: set[Key]) -> set[Key]:
    """Unknown requests of which an inquiry (7000/100) says that they were executed."""
    return {each.about for each in books.asked("inquiry") if each.about in unknown and each.result == OK and each.about is not None}


def _rest(books: Books) -> Iterator[Check]:
    unknown = [each for kind in ("transfer", "credit") for each in books.asked(kind) if each.outcome == "unknown"]
    inquiries = books.asked("inquiry")
    answered = {each.about for each in inquiries if each.outcome == "done" and each.result in (OK, NOT_ON_RECORD)}
    cleared = sum(each.key in answered for each in unknown)
    executed = set(_keys([*books.ledger, *books.credit], "executed"))
    wrong = sum((each.result == OK) != (each.about in executed) for each in inquiries)
    yield Check("unknown: an inquiry clears up each", "unknown", len(unknown), "cleared up", cleared)
    yield Check("unknown: the ledger says the same", "said otherwise", wrong, "expected", 0)
    if books.unknown_by_router is not None:
        yield Check("unknown: the router counts as many", "its metric", books.unknown_by_router, "unknown", len(unknown))
    yield from _notices(books)
    if books.paid_out is not None:
        transfers = books.asked("transfer")
        known = {each.key for each in transfers if each.outcome == "done"} | _found(books, {each.key for each in unknown})
        elsewhere = sum(each.amount for each in transfers if each.key in known and not each.within)
        yield Check("bank: its accounts agree", "won gone from them", books.paid_out, "won known to be elsewhere", elsewhere)
    yield Check("hosts: what they expect is met", "not met", books.not_met, "expected", 0)
    yield Check("router: it ended with nothing open", "exit code", -1 if books.router_exit is None else books.router_exit, "expected", 0)


def _notices(books: Books) -> Iterator[Check]:
    wanted = Counter(key for key in books.notices if key[0] not in books.nobody)
    got = Counter(key for company in books.companies for key in company.notices if key[0] == company.number)
    elsewhere = sum(key[0] != company.number for company in books.companies for key in company.notices)
    delivered = sum((wanted & got).values())
    answered = sum(notice.codes == [OK] for notice in books.notices.values() if notice.key in wanted)
    yield Check("notice: each comes to its company", "sent", sum(wanted.values()), "delivered", delivered)
    yield Check("notice: none comes twice or elsewhere", "too many", elsewhere + sum((got - wanted).values()), "expected", 0)
    yield Check("notice: the bank has each answer", "delivered", delivered, "answered", answered)
