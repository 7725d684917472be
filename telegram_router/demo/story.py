"""What happens in the demo, scene by scene. Every wait is for an event, so a slow machine changes nothing but the time."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from telegram_router.cli.admin_client import Client, Reach
from telegram_router.demo.books import Asked, Key
from telegram_router.demo.hosts import CORE, LINE, CreditService, Line, recording, simulated
from telegram_router.demo.outcome import Played, Record, record_of
from telegram_router.demo.parties import Company, client_context
from telegram_router.demo.processes import Child, RouterLog, got, start_router
from telegram_router.demo.recordings import line_book
from telegram_router.demo.telegrams import ACCOUNTS, FIRST, MEMOS, NOBODY, PAYEES, SECOND, credit, made, shipped, transfer
from telegram_router.ops.ordered import CaptureOrder
from telegram_router.tools.simulate.fixture import Host
from telegram_router.wire.authority import Authority

CALM, STORM, AFTER = 150, 100, 40  # telegrams of each company in the three stretches of traffic
MORE_THAN_ANYBODY_HAS: Final = 900_000_000  # won
BURST: Final = 60
STUCK, EXECUTED, OPEN = 8, 3, 26  # telegrams: in the hands of a line when it is killed, of those executed, and open in all
STUCK_PATIENCE: Final = 5.0
CAPTURED_FOR: Final = 60.0  # seconds at most

CONFIG: Final = """\
drain = "5s"

[metrics]
address = "127.0.0.1:0"

[listeners.companies]
address = "127.0.0.1:0"
spec = "firmbanking"
tls = {{ certificate = "router.pem", key = "router.key", client_ca = "ca.pem" }}
owners = {{ TESTCO000001 = ["ganasangsa.demo"], TESTCO000002 = ["daramulsan.demo"] }}

[services.transfer]                          # 송금: two lines of one bank, which also tell of deposits (수신)
backends = ["{first}", "{second}"]
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
from_service = "transfer"
match = {{ message_type = "4000" }}
to_listener = "companies"
"""

CAPTURE: Final = """
[admin]                                      # what `telegram-router capture` asks
socket = "admin.sock"
"""

HANDLER: Final = '''\
"""A service in Python: says that business may begin."""


async def opened(telegram):
    return telegram.reply(response_code="0000")
'''


@dataclass
class Parties:
    """Who stands behind the router."""

    core: Host
    first: Line  # which is killed
    second: Host
    credit: CreditService


class Story:
    """One run of the demo. `say` is told each scene as it begins; `show_config` the configuration.

    With `capture`, all that passes the router is captured in demo.tgcap.jsonl.
    """

    def __init__(self, folder: Path, say: Callable[[str], None], show_config: Callable[[str, str], None], *, capture: bool = False) -> None:
        self._folder = folder
        self._say = say
        self._show_config = show_config
        self._capture = capture
        self._spec = shipped("firmbanking")
        self._chance = random.Random("demo")  # the same amounts every time
        self._began = time.monotonic()

    async def run(self) -> Record:
        """Play it all. Raises NotStarted when a party does not start."""
        self._certificates()
        async with AsyncExitStack() as stack:
            parties = await self._hosts(stack)
            async with trio.open_nursery() as nursery, await start_router(self._configure(parties)) as router:
                log = RouterLog(router, self._folder / "router.log")
                nursery.start_soon(log.keep)
                played = await self._scenes(nursery, parties, router, log)
                nursery.cancel_scope.cancel()
        played.not_met += parties.credit.child.process.returncode != 0
        played.seconds = time.monotonic() - self._began
        return record_of(self._spec, self._folder, played)

    # --- before it begins

    def _certificates(self) -> None:
        authority = Authority.make(self._folder, "telegram-router demo CA", days=1)
        authority.issue("router", ["router.demo"], "server")
        for name in ("ganasangsa", "daramulsan"):
            authority.issue(name, [f"{name}.demo"], "client")

    async def _hosts(self, stack: AsyncExitStack) -> Parties:
        core = await stack.enter_async_context(simulated(CORE, self._spec, recording(self._folder, "core")))
        passing_on = {"on_miss": f"forward:{core.address}"}
        second = await stack.enter_async_context(simulated(LINE, self._spec, recording(self._folder, "transfer-2"), **passing_on))
        started: dict[str, Any] = {}

        async def start(name: str, begin: Callable[[], Awaitable[Line | CreditService]]) -> None:
            started[name] = party = await begin()
            await stack.enter_async_context(party.child)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(start, "first", lambda: Line.start("transfer-1", core.address, self._folder))
            nursery.start_soon(start, "credit", lambda: CreditService.start(self._folder))
        return Parties(core=core, second=second, **started)

    def _configure(self, parties: Parties) -> Path:
        text = CONFIG.format(first=parties.first.address, second=parties.second.address, credit=parties.credit.port)
        path = self._folder / "demo.toml"
        path.write_text(text + (CAPTURE if self._capture else ""), "utf-8")
        (self._folder / "desk.py").write_text(HANDLER, "utf-8")
        self._show_config(str(path), text)
        return path

    # --- the scenes

    async def _scenes(self, nursery: trio.Nursery, parties: Parties, router: Child, log: RouterLog) -> Played:
        started = await log.first("started")
        await self._order(lambda client, order: client.start_capture(order))
        port = int(started["listeners"]["companies"].rsplit(":", 1)[1])
        companies = [self._company("가나상사", FIRST, "ganasangsa"), self._company("다라물산", SECOND, "daramulsan")]
        played = Played(companies)
        self._say(f"the router listens on port {port} with TLS; two companies connect with their certificates and open for business")
        for company in companies:
            await nursery.start(company.run, port)
            await company.answer_to(await company.ask(made(self._spec, "open.request", company.book.number, company.next_number()), "open"))
        self._say(
            "both send transfers (송금) and credit telegrams (여신) at once, over one connection each; the bank reports deposits (수신)"
        )
        opening = _won_in(parties.core)
        await self._everybody(companies, CALM, notices=True)
        played.refusals = await self._bad_input(companies, parties.core)
        await self._kill(companies, parties, played)
        played.not_sent_in_burst = await self._burst(companies[0])
        await self._inquire(companies)
        async with (await self._return(log, parties)).child:
            self._say("and the last stretch of traffic")
            await self._everybody(companies, AFTER, notices=True)
            await self._all_told(companies, parties.core)
            played.unknown_by_router = _counted(await got(started["metrics"], "/metrics"), "delivery_unknown_total")
            await self._order(lambda client, _: client.stop_capture())
            self._say("the router is told to stop (SIGTERM)")
            played.router_exit = await router.end()
        played.credits = await parties.credit.requests()
        played.results = _rows(parties.core, "transfer")
        played.paid_out = opening - _won_in(parties.core)
        played.not_met = sum(not each.met for each in parties.core.verify())
        return played

    async def _order(self, give: Callable[[Client, CaptureOrder], object]) -> None:
        """What `telegram-router capture` would ask for."""
        if self._capture:
            client = Client(Reach(self._folder / "admin.sock"))
            await trio.to_thread.run_sync(give, client, CaptureOrder(str(recording(self._folder, "demo")), CAPTURED_FOR))

    def _company(self, name: str, number: str, certificate: str) -> Company:
        return Company(self._spec, name, number, client_context(self._folder, certificate))

    async def _everybody(self, companies: list[Company], count: int, notices: bool = False) -> None:
        async with trio.open_nursery() as nursery:
            for company in companies:
                nursery.start_soon(self._traffic, company, count, notices)
        for company in companies:
            await company.all_answered()

    async def _traffic(self, company: Company, count: int, notices: bool, pause: float = 0.008) -> None:
        """Mostly transfers, some credit telegrams, whatever order the answers come in. With notices some are paid within the bank."""
        for place in range(count):
            if place % 6 == 5:
                await self._ask_credit(company, "02" if place % 12 == 5 else "01", self._chance.randrange(1, 60) * 10_000)
            else:
                other = SECOND if company.book.number == FIRST else FIRST
                await self._ask_transfer(company, self._chance.randrange(1, 20) * 10_000, other if notices and place % 6 == 2 else None)
            await trio.sleep(self._chance.uniform(0, pause))

    async def _ask_transfer(self, company: Company, amount: int, payee: str | None = None, *, patience: bool = True) -> Asked:
        """To another bank, unless a company of this one is given: that gets a notice."""
        name, memo = self._chance.choice(PAYEES), self._chance.choice(MEMOS)
        paid_into = ACCOUNTS[payee] if payee is not None else None
        telegram = transfer(self._spec, company.book.number, company.next_number(), amount, name, name + memo, paid_into)
        asked = await company.ask(telegram, "transfer", amount=amount, patience=patience)
        asked.within = payee is not None
        return asked

    async def _ask_credit(self, company: Company, action: str, amount: int) -> Asked:
        telegram = credit(self._spec, company.book.number, company.next_number(), action, amount)
        return await company.ask(telegram, "credit", amount=amount)

    async def _bad_input(self, companies: list[Company], core: Host) -> list[tuple[str, str]]:
        """What must be refused, each with a response code of its own, while everything else goes on."""
        self._say("some telegrams that must be refused")
        one, other = companies
        stolen = transfer(self._spec, FIRST, "990001", 1_000_000, "홍길동", "급여")
        odd = transfer(self._spec, SECOND, other.next_number(), 1_000, "홍길동", "급여")
        late = credit(self._spec, SECOND, other.next_number(), "01", 10_000)
        tried: list[tuple[str, Company, Callable[[], Awaitable[Asked]]]] = [
            ("more money than there is", one, lambda: self._ask_transfer(one, MORE_THAN_ANYBODY_HAS)),
            ("a repayment of more than is owed", one, lambda: self._ask_credit(one, "02", MORE_THAN_ANYBODY_HAS)),
            ("다라물산 in the name of 가나상사", other, lambda: other.ask(stolen, "transfer", amount=1_000_000)),
            (
                "a business code that nobody knows",
                other,
                lambda: other.ask(odd, "transfer", frame=self._patched(odd, "business_code", b"999")),
            ),
            ("the 31st of February", other, lambda: other.ask(late, "credit", frame=self._patched(late, "due_date", b"20250231"))),
        ]
        refusals = []
        for what, company, ask in tried:
            asked = await ask()
            await company.answer_to(asked)
            refusals.append((what, asked.code))
        await one.answer_to(await self._ask_transfer(one, 10_000, NOBODY))
        await self._all_told(companies, core)
        refused = next(each for each in core.received("deposit_notice.response") if each["company_number"] == NOBODY)
        return [*refusals, ("a deposit notice for a company that is not connected", refused["response_code"])]

    async def _all_told(self, companies: list[Company], core: Host) -> None:
        """Wait until the bank has an answer to each notice of a deposit that it must have sent."""
        paid = sum(each.within and each.outcome == "done" for company in companies for each in company.book.asked.values())
        await core.wait_for("deposit_notice.response", paid)

    def _patched(self, telegram: object, name: str, content: bytes) -> bytes:
        frame = bytearray(self._spec.encode(telegram))  # type: ignore[arg-type]
        planned = telegram.message.field(name)  # type: ignore[attr-defined]
        at = self._spec.framing.prefix + planned.offset
        frame[at : at + len(content)] = content
        return bytes(frame)

    # --- the kill

    async def _kill(self, companies: list[Company], parties: Parties, played: Played) -> None:
        self._say("more traffic, as fast as it goes; transfer-1 falls ill: it takes telegrams and answers none")
        first = parties.first
        await first.fall_ill()
        async with trio.open_nursery() as nursery:
            for company in companies:
                nursery.start_soon(self._traffic, company, STORM, False, 0.0)
            with trio.move_on_after(STUCK_PATIENCE):
                while not self._is_time(companies, parties):  # noqa: ASYNC110  # the recording is a file of another process
                    await trio.sleep(0.02)
            played.killed_at = time.time()
            played.open_then = [(each, company.book.name) for company in companies for each in company.open if each.kind == "transfer"]
            first.child.kill()
            await first.child.process.wait()
            self._say(f"transfer-1 is killed (SIGKILL) with {len(self._in_hands(first))} telegrams in its hands")
        for company in companies:
            await company.all_answered()

    def _is_time(self, companies: list[Company], parties: Parties) -> bool:
        """Enough telegrams in the line's hands, some of them executed, and more of them waiting."""
        stuck = self._in_hands(parties.first)
        if len(stuck) < STUCK or sum(len(each.open) for each in companies) < OPEN:
            return False
        executed = {(each["company_number"], each["message_number"]) for each in parties.core.received("transfer.request")}
        return len(stuck & executed) >= EXECUTED

    def _in_hands(self, line: Line) -> set[Key]:
        """What a line has received and not answered."""
        book = line_book(self._spec, line.record, "")
        return {entry.key for entry in book if entry.event == "received"} - {entry.key for entry in book if entry.event == "answered"}

    async def _burst(self, company: Company) -> int:
        """More at once than one host and the router's bounded queue take: the rest is refused, and was not sent."""
        self._say(f"with one host left, 가나상사 sends {BURST} transfers at once, which is more than may wait")
        asked = [await self._ask_transfer(company, 10_000, patience=False) for _ in range(BURST)]
        await company.all_answered()
        return sum(each.outcome == "not_sent" for each in asked)

    async def _inquire(self, companies: list[Company]) -> None:
        self._say("the companies ask for the result (7000/100) of every telegram whose end they do not know")
        for company in companies:
            for asked in [each for each in company.book.asked.values() if each.kind == "transfer" and each.outcome == "unknown"]:
                await company.inquire(asked)

    async def _return(self, log: RouterLog, parties: Parties) -> Line:
        self._say("transfer-1 is started again; the router finds it by itself")
        seen, address = len(log.events), parties.first.address
        line = await Line.start("transfer-1-again", parties.core.address, self._folder, address)
        while (await log.first("link_up", seen))["backend"] != str(address):
            seen += 1
        return line


def _won_in(core: Host) -> int:
    """All that the accounts of the bank hold."""
    return sum(int(row["balance"]) for row in _rows(core, "account").values())


def _rows(core: Host, store: str) -> Mapping[str, Mapping[str, str]]:
    return core.simulation.world.store(store).rows(core.simulation.now)


def _counted(metrics: str, name: str) -> int:
    """The sum of a counter over its labels."""
    lines = [line for line in metrics.splitlines() if line.startswith(f"telegram_router_{name}{{")]
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines))
