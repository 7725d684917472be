"""What the demo shows: colours and tables on a terminal, the same as plain text in a pipe."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from telegram_router.cli.shown import aligned, on_terminal, say, table
from telegram_router.demo.books import OK, OUTCOMES, SHORT_OF_FUNDS, Check
from telegram_router.demo.outcome import Held, Record
from telegram_router.errors import CODES
from telegram_router.telegrams import Spec, Telegram, to_object
from telegram_router.telegrams.explain import cells, explain

SHOWN_FIELDS: Final = (
    "header.company_number", "header.message_type", "header.business_code", "header.message_number",
    "body.amount", "body.deposit_account", "body.memo", "body.deposit_holder",
)  # fmt: skip
KINDS: Final = {"transfer": "transfer 송금", "credit": "credit 여신", "open": "opening", "inquiry": "inquiry"}

HOSTS: Final = (
    ("transfer-1", "telegram-router simulate line-server", "a line of the bank, which is killed"),
    ("transfer-2", "telegram-router simulate line-server", "the other"),
    ("core", "telegram-router simulate core-banking", "the bank behind both (송금, 수신)"),
    ("credit", "python simulators/credit_service.py", "JSON over HTTP (여신)"),
)
PLACES: Final = {"router": "waiting in the router, not sent yet", "wire": "answered already, the answer on its way"}
ROUTES: Final = {"transfer": "transfers", "credit": "credits", "open": "opening", "inquiry": "inquiries"}


def heading(text: str) -> None:
    say()
    if on_terminal():
        from rich.console import Console
        from rich.rule import Rule

        Console().print(Rule(text, align="left", style="cyan"))
    else:
        say(f"== {text}")
        say()


def show_beginning(folder: str) -> None:
    say("telegram-router demo: everything runs on this machine, in " + folder)
    say("All names, accounts and amounts are made up.")
    heading("the hosts, each simulated as by this command")
    for line in aligned(HOSTS):
        say("  " + line)


def show_config(path: str, text: str) -> None:
    heading(f"the configuration: {path}")
    core = text[text.index("[listeners.") :]
    if on_terminal():
        from rich.console import Console
        from rich.syntax import Syntax

        Console().print(Syntax(core.rstrip(), "toml", background_color="default", word_wrap=True))
    else:
        say(textwrap.indent(core.rstrip(), "  "))
    heading("what happens")


def show_scene(seconds: float, text: str) -> None:
    say(f"{seconds:5.1f} s  {text}")


# --- results


def show_routed(record: Record) -> None:
    heading("what was routed where")
    books = record.books
    arrived = Counter(("transfer", entry.host) for entry in books.ledger if entry.event == "received")
    arrived.update(("credit", "HTTP/JSON service") for entry in books.credit if entry.event == "received")
    rows = []
    for company in books.companies:
        for kind, label in KINDS.items():
            asked = [each for each in company.asked.values() if each.kind == kind]
            outcomes = Counter(each.outcome for each in asked)
            rows.append([label, company.name, ROUTES[kind], str(len(asked)), _counts(outcomes)])
    for company in books.companies:
        rows.append(["deposit notice 수신", "bank", "notices", str(len(company.notices)), f"delivered to {company.name}"])
    table(("telegrams", "from", "by route", "sent", "became"), rows)
    say()
    table(("service", "answered by", "received"), [[KINDS[kind], host, str(count)] for (kind, host), count in sorted(arrived.items())])


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[name]} {name}" for name in OUTCOMES if counts[name])


def show_telegram(spec: Spec, record: Record) -> None:
    request, reply = record.sample
    heading("one telegram and its JSON")
    telegram = spec.decode(request)
    size = len(request) - spec.framing.prefix
    left = [
        *hex_lines(request),
        "",
        f"offsets in the telegram, behind the {spec.framing.prefix} digits that say {size}:",
        *_offsets(spec, request),
    ]
    right = json.dumps(_without_blanks(telegram), ensure_ascii=False, indent=2).splitlines()
    if on_terminal():
        _side_by_side(left, right)
    else:
        for line in [*left, "", *right]:
            say(line)
    say()
    answer = spec.decode(reply)
    say(f"its answer: {answer.message.name}, response code {answer['response_code']}, balance after it {answer['balance_after']:,}")
    asked, answered = record.credit_sample
    say(f"the HTTP service saw   {json.dumps(asked, ensure_ascii=False)}")
    say(f"                answered {json.dumps(answered, ensure_ascii=False)}")


def hex_lines(frame: bytes, width: int = 16) -> Iterator[str]:
    """Offset in the frame, bytes, and what of them is ASCII."""
    for at in range(0, len(frame), width):
        part = frame[at : at + width]
        yield f"{at:04d}  {part.hex(' '):<{3 * width - 1}}  {''.join(chr(byte) if 32 <= byte < 127 else '.' for byte in part)}"


def _offsets(spec: Spec, frame: bytes) -> list[str]:
    rows = [cells(row) for row in explain(spec, frame, show=True).rows if row.path in SHOWN_FIELDS]
    return aligned([("offset", "length", "field", "value"), *((row[0], row[2], row[4], row[6]) for row in rows)])


def _without_blanks(telegram: Telegram) -> dict[str, object]:
    """The JSON form without the fields that are blank here, to fit on a screen."""
    form = to_object(telegram)
    return {
        key: {name: value for name, value in part.items() if value not in ("", None, "0")} if isinstance(part, dict) else part
        for key, part in form.items()
    }


def _side_by_side(left: Sequence[str], right: Sequence[str]) -> None:
    from rich.columns import Columns
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    panels = [Panel.fit(Text("\n".join(lines)), title=title) for title, lines in (("bytes", left), ("JSON", right))]
    Console(highlight=False).print(Columns(panels))


def show_refusals(spec: Spec, record: Record) -> None:
    heading("what was refused, with its response code")
    own = spec.family.errors.codes if spec.family.errors is not None else {}
    meanings = {response: CODES[code].title for code, response in own.items()} | {SHORT_OF_FUNDS: "the host's own refusal"}
    rows = [[what, code, meanings.get(code, "")] for what, code in record.refusals]
    if record.not_sent_in_burst:
        rows.append([f"{record.not_sent_in_burst} transfers of the burst", own["E-LIM-01"], CODES["E-LIM-01"].title])
    table(("telegram", "code", "meaning"), rows)


def show_held(held: Sequence[Held]) -> None:
    heading("what became of the transfers that were open when transfer-1 was killed")
    dead = [each for each in held if each.hands == "transfer-1"]
    rows = [
        [
            each.company,
            each.asked.key[1],
            each.asked.payee,
            f"{each.asked.amount:,}",
            each.asked.code,
            "sent_unknown" if each.asked.outcome == "unknown" else each.asked.outcome,
            "executed" if each.executed else "not executed",
            _result(each),
        ]
        for each in dead
    ]
    say("In the hands of transfer-1: nobody can know, and the router does not pretend to. Never sent again, but asked for:")
    table(("company", "number", "payee", "won", "code", "delivery", "in truth", "7000/100 says"), rows)
    others = Counter((each.hands, each.asked.outcome) for each in held if each.hands != "transfer-1")
    for (hands, outcome), count in sorted(others.items()):
        became = {"done": "answered by transfer-2" if hands == "router" else "answered"}.get(outcome, outcome)
        say(f"{count} {PLACES.get(hands, f'in the hands of {hands}')}: {became}")


def _result(each: Held) -> str:
    if each.inquiry is None:
        return ""
    return "0000, executed" if each.inquiry.result == OK else f"{each.inquiry.result}, not on record"


def show_reconciliation(checks: Sequence[Check]) -> None:
    heading("reconciliation of everybody's books")
    rows = [[check.claim, check.left, f"{check.left_count:,}", check.right, f"{check.right_count:,}", _verdict(check)] for check in checks]
    wrong = {place: "red" for place, check in enumerate(checks) if not check.agrees}
    table(("", "one side", "", "the other", "", "agrees"), rows, styles=wrong)


def _verdict(check: Check) -> str:
    return "yes" if check.agrees else "NO"


def show_end(checks: Iterable[Check], record: Record) -> None:
    wrong = [check for check in checks if not check.agrees]
    count = sum(len(company.asked) for company in record.books.companies) + len(record.books.notices)
    say()
    if wrong:
        say(f"The books do not agree in {len(wrong)} points.", fg="red", bold=True)
    else:
        say(
            f"All books agree: {count} telegrams in {record.seconds:.0f} seconds, one host lost on the way, every won accounted for.",
            fg="green",
            bold=True,
        )
