"""What happens in the demo, scene by scene. Every wait is for an event, so a slow machine changes nothing but the time."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from telegram_router.demo.books import Asked, Books, Key
from telegram_router.demo.ledger import OPENING_BALANCE, entries
from telegram_router.demo.parties import Company, CreditService, DepositHost, client_context, listening
from telegram_router.demo.processes import Child, RouterLog, scrape, start_host, start_router
from telegram_router.demo.telegrams import MEMOS, PAYEES, credit, made, shipped, transfer
from telegram_router.wire.authority import Authority

FIRST, SECOND, NOBODY = "TESTCO000001", "TESTCO000002", "TESTCO000099"
CALM, STORM, AFTER = 150, 100, 40  # telegrams of each company in the three stretches of traffic
NOTICES: Final = 20  # for each company
BURST: Final = 60
STUCK, EXECUTED, OPEN = 8, 3, 26  # telegrams: in the hands of a host when it is killed, of those executed, and open in all
STUCK_PATIENCE: Final = 5.0

CONFIG: Final = """\
drain = "5s"

[metrics]
address = "127.0.0.1:0"

[listeners.companies]
address = "127.0.0.1:0"
spec = "firmbanking"
tls = {{ certificate = "router.pem", key = "router.key", client_ca = "ca.pem" }}
owners = {{ TESTCO000001 = ["ganasangsa.demo"], TESTCO000002 = ["daramulsan.demo"] }}

[services.transfer]                          # 송금: two hosts of one bank
backends = ["127.0.0.1:{first}", "127.0.0.1:{second}"]
in_flight = 8
pending = 24
timeout = "10s"
reconnect_max = "1s"

[services.credit]                            # 여신: knows JSON over HTTP only
url = "http://127.0.0.1:{credit}/credit"
definite = [422]
response = {{ "header.response_code" = "code", "body.loan_balance" = "balance" }}

[services.credit.request]                    # its JSON has names of its own
customer = "header.company_number"
number = "header.message_number"
action = "body.action"
amount = "body.amount"

[services.deposits]                          # 수신: a host that asks, and the companies answer
backends = ["127.0.0.1:{deposits}"]

[services.desk]                              # a Python function in a file beside this one
handler = "desk:opened"

[[routes]]
name = "transfers"
listener = "companies"
match = {{ message_type = "2000", business_code = ["100", "200"] }}
service = "transfer"

[[routes]]
name = "inquiries"
listener = "companies"
match = {{ message_type = "7000" }}
service = "transfer"

[[routes]]
name = "credits"
listener = "companies"
match = {{ message_type = {{ prefix = "5" }} }}
service = "credit"

[[routes]]
name = "opening"
listener = "companies"
match = {{ message_type = "1000", business_code = "100" }}
service = "desk"

[[routes]]
name = "notices"
from_service = "deposits"
match = {{ message_type = "4000" }}
to_listener = "companies"
"""

HANDLER: Final = '''\
"""A service in Python: says that business may begin."""


async def opened(telegram):
    return telegram.reply(response_code="0000")
'''


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
    credit_sample: object
    seconds: float
    refusals: list[tuple[str, str]] = field(default_factory=list)  # what was tried, response code


class Story:
    """One run of the demo. `say` is told each scene as it begins; `show_config` the configuration."""

    def __init__(self, folder: Path, say: Callable[[str], None], show_config: Callable[[str, str], None]) -> None:
        self._folder = folder
        self._say = say
        self._show_config = show_config
        self._spec = shipped("firmbanking")
        self._chance = random.Random("demo")  # the same amounts every time
        self._began = time.monotonic()
        self._ledger = folder / "bank.ledger"
        self._credit = CreditService()
        self._deposits = DepositHost(self._spec)
        self._refusals: list[tuple[str, str]] = []

    async def run(self) -> Record:
        """Play it all. Raises NotStarted when a party does not start."""
        self._certificates()
        self._ledger.touch(mode=0o600)
        async with trio.open_nursery() as nursery:
            credit_port = await nursery.start(listening, self._credit.serve)
            deposits_port = await nursery.start(listening, self._deposits.serve)
            (first, first_port), (second, second_port) = [await self._host(name, 0) for name in ("transfer-1", "transfer-2")]
            config = self._configure(first=first_port, second=second_port, credit=credit_port, deposits=deposits_port)
            async with first, second, await start_router(config) as router:
                log = RouterLog(router, self._folder / "router.log")
                nursery.start_soon(log.keep)
                record = await self._scenes(nursery, router, log, first, first_port)
            nursery.cancel_scope.cancel()
        return record

    # --- before it begins

    def _certificates(self) -> None:
        authority = Authority.make(self._folder, "telegram-router demo CA", days=1)
        authority.issue("router", ["router.demo"], "server")
        for name in ("ganasangsa", "daramulsan"):
            authority.issue(name, [f"{name}.demo"], "client")

    async def _host(self, name: str, port: int) -> tuple[Child, int]:
        return await start_host(name, port, self._ledger, self._folder / "hosts.log")

    def _configure(self, **ports: int) -> Path:
        text = CONFIG.format(**ports)
        path = self._folder / "demo.toml"
        path.write_text(text, "utf-8")
        (self._folder / "desk.py").write_text(HANDLER, "utf-8")
        self._show_config(str(path), text)
        return path

    # --- the scenes

    async def _scenes(self, nursery: trio.Nursery, router: Child, log: RouterLog, first: Child, first_port: int) -> Record:
        started = await log.first("started")
        port = int(started["listeners"]["companies"].rsplit(":", 1)[1])
        companies = [self._company("가나상사", FIRST, "ganasangsa"), self._company("다라물산", SECOND, "daramulsan")]
        self._say(f"the router listens on port {port} with TLS; two companies connect with their certificates and open for business")
        for company in companies:
            await nursery.start(company.run, port)
            await company.answer_to(await company.ask(made(self._spec, "open.request", company.book.number, company.next_number()), "open"))
        self._say(
            "both send transfers (송금) and credit telegrams (여신) at once, over one connection each; the bank reports deposits (수신)"
        )
        await self._everybody(companies, CALM, notices=NOTICES)
        await self._bad_input(companies)
        held = await self._kill(companies, first)
        not_sent = await self._burst(companies[0])
        await self._inquire(companies, held)
        async with await self._return(log, first_port, companies):
            for company in companies:
                await company.all_answered()
            await self._deposits.all_answered()
            unknown = _counted(await scrape(started["metrics"]), "delivery_unknown_total")
            self._say("the router is told to stop (SIGTERM)")
            router.send(signal.SIGTERM)
            await router.process.wait()
        books = Books(
            [company.book for company in companies],
            entries(self._ledger),
            self._credit.book,
            self._deposits.notices,
            frozenset({NOBODY}),
            unknown,
            router.process.returncode,
        )
        sample = next(each.key for each in companies[0].book.asked.values() if each.kind == "transfer" and each.outcome == "done")
        return Record(books, held, not_sent, companies[0].seen[sample], self._credit.shown, self._seconds(), self._refusals)

    def _company(self, name: str, number: str, certificate: str) -> Company:
        return Company(self._spec, name, number, client_context(self._folder, certificate))

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    async def _everybody(self, companies: list[Company], count: int, notices: int = 0) -> None:
        async with trio.open_nursery() as nursery:
            for company in companies:
                nursery.start_soon(self._traffic, company, count)
                nursery.start_soon(self._reports, company, notices)
        for company in companies:
            await company.all_answered()

    async def _traffic(self, company: Company, count: int, pause: float = 0.008) -> None:
        """Mostly transfers, some credit telegrams, whatever order the answers come in."""
        for place in range(count):
            if place % 6 == 5:
                await self._ask_credit(company, "02" if place % 12 == 5 else "01", self._chance.randrange(1, 60) * 10_000)
            else:
                await self._ask_transfer(company, self._chance.randrange(1, 30) * 10_000)
            await trio.sleep(self._chance.uniform(0, pause))

    async def _ask_transfer(self, company: Company, amount: int, *, patience: bool = True) -> Asked:
        payee, memo = self._chance.choice(PAYEES), self._chance.choice(MEMOS)
        telegram = transfer(self._spec, company.book.number, company.next_number(), amount, payee, payee + memo)
        return await company.ask(telegram, "transfer", amount=amount, patience=patience)

    async def _ask_credit(self, company: Company, action: str, amount: int) -> Asked:
        telegram = credit(self._spec, company.book.number, company.next_number(), action, amount)
        return await company.ask(telegram, "credit", amount=amount)

    async def _reports(self, company: Company, count: int) -> None:
        for _ in range(count):
            await self._deposits.tell(company.book.number)
            await trio.sleep(self._chance.uniform(0.01, 0.04))

    async def _bad_input(self, companies: list[Company]) -> None:
        """What must be refused, each with a response code of its own, while everything else goes on."""
        self._say("some telegrams that must be refused")
        one, other = companies
        await self._refused("more money than there is", one, self._ask_transfer(one, OPENING_BALANCE + 1))
        await self._refused("a repayment of more than is owed", one, self._ask_credit(one, "02", 900_000_000))
        stolen = transfer(self._spec, FIRST, "990001", 1_000_000, "홍길동", "급여")
        await self._refused("다라물산 in the name of 가나상사", other, other.ask(stolen, "transfer", amount=1_000_000))
        odd = transfer(self._spec, SECOND, other.next_number(), 1_000, "홍길동", "급여")
        await self._refused(
            "a business code that nobody knows", other, other.ask(odd, "transfer", frame=self._patched(odd, "business_code", b"999"))
        )
        late = credit(self._spec, SECOND, other.next_number(), "01", 10_000)
        await self._refused("the 31st of February", other, other.ask(late, "credit", frame=self._patched(late, "due_date", b"20250231")))
        told = await self._deposits.tell(NOBODY)
        await self._deposits.answer_to(told)
        self._refusals.append(("a deposit notice for a company that is not connected", told.codes[0]))

    async def _refused(self, what: str, company: Company, asking: Awaitable[Asked]) -> None:
        asked = await asking
        await company.answer_to(asked)
        self._refusals.append((what, asked.code))

    def _patched(self, telegram: object, name: str, content: bytes) -> bytes:
        frame = bytearray(self._spec.encode(telegram))  # type: ignore[arg-type]
        planned = telegram.message.field(name)  # type: ignore[attr-defined]
        at = self._spec.framing.prefix + planned.offset
        frame[at : at + len(content)] = content
        return bytes(frame)

    # --- the kill

    async def _kill(self, companies: list[Company], first: Child) -> list[Held]:
        self._say("more traffic, as fast as it goes; transfer-1 falls ill: it takes telegrams and answers none")
        first.send(signal.SIGUSR1)
        async with trio.open_nursery() as nursery:
            for company in companies:
                nursery.start_soon(self._traffic, company, STORM, 0.0)
            with trio.move_on_after(STUCK_PATIENCE):
                while not self._is_time(companies, first.name):  # noqa: ASYNC110  # the ledger is a file of other processes
                    await trio.sleep(0.02)
            at = time.monotonic()
            open_then = [(each, company.book.name) for company in companies for each in company.open if each.kind == "transfer"]
            first.process.kill()
            await first.process.wait()
            self._say(f"transfer-1 is killed (SIGKILL) with {len(self._in_hands(first.name))} telegrams in its hands")
        for company in companies:
            await company.all_answered()
        return self._held(open_then, at, first.name)

    def _is_time(self, companies: list[Company], host: str) -> bool:
        """Enough telegrams in the host's hands, some of them executed, and more of them waiting."""
        stuck = self._in_hands(host)
        executed = {entry.key for entry in entries(self._ledger) if entry.event == "executed"}
        return len(stuck) >= STUCK and len(stuck & executed) >= EXECUTED and sum(len(each.open) for each in companies) >= OPEN

    def _in_hands(self, host: str) -> set[Key]:
        """What a host has received and not answered."""
        mine = [entry for entry in entries(self._ledger) if entry.host == host]
        return {entry.key for entry in mine if entry.event == "received"} - {
            entry.key for entry in mine if entry.event in ("answered", "refused")
        }

    def _held(self, open_then: list[tuple[Asked, str]], at: float, dead: str) -> list[Held]:
        ledger = entries(self._ledger)
        received = {entry.key: entry for entry in ledger if entry.event == "received"}
        answered = {entry.key for entry in ledger if entry.event == "answered" and entry.at < at}
        executed = {entry.key for entry in ledger if entry.event == "executed"}
        held = []
        for asked, company in open_then:
            entry = received.get(asked.key)
            there = entry is not None and (entry.at < at or entry.host == dead)
            hands = "wire" if asked.key in answered else entry.host if entry is not None and there else "router"
            held.append(Held(asked, company, hands, asked.key in executed))
        return held

    async def _burst(self, company: Company) -> int:
        """More at once than one host and the router's bounded queue take: the rest is refused, and was not sent."""
        self._say(f"with one host left, 가나상사 sends {BURST} transfers at once, which is more than may wait")
        asked = [await self._ask_transfer(company, 10_000, patience=False) for _ in range(BURST)]
        await company.all_answered()
        return sum(each.outcome == "not_sent" for each in asked)

    async def _inquire(self, companies: list[Company], held: list[Held]) -> None:
        self._say("the companies ask for the result (7000/100) of every telegram whose end they do not know")
        for company in companies:
            for asked in [each for each in company.book.asked.values() if each.kind == "transfer" and each.outcome == "unknown"]:
                inquiry = await company.inquire(asked)
                for each in held:
                    if each.asked is asked:
                        each.inquiry = inquiry

    async def _return(self, log: RouterLog, port: int, companies: list[Company]) -> Child:
        self._say("transfer-1 is started again; the router finds it by itself")
        seen = len(log.events)
        first, _ = await self._host("transfer-1", port)
        while (await log.first("link_up", seen))["backend"] != f"127.0.0.1:{port}":
            seen += 1
        self._say("and the last stretch of traffic")
        await self._everybody(companies, AFTER)
        return first


def _counted(metrics: str, name: str) -> int:
    """The sum of a counter over its labels."""
    lines = [line for line in metrics.splitlines() if line.startswith(f"telegram_router_{name}{{")]
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines))
