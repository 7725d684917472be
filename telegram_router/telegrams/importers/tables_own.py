"""Sheets that our own exporter wrote: what they say of the family and its messages is taken word for word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from telegram_router.telegrams.declare import Conduct, ErrorReply, Plus, Reply, Table
from telegram_router.telegrams.framing import Framing
from telegram_router.telegrams.importers.model import Finding, Imported, ImportedMessage, ImportedSpec
from telegram_router.telegrams.importers.source import quoted
from telegram_router.telegrams.importers.tables_blocks import Fact
from telegram_router.telegrams.importers.workbook import Sheet
from telegram_router.telegrams.sheet_words import BODY, HEADER, KEY, KIND, MARK, MESSAGE, NOT_CARRIED, REPLY, SYNTHETIC, TITLE
from telegram_router.telegrams.spelling import NotADeclaration, read_declaration, spelled

_DECLARED: Final[Mapping[str, tuple[type, ...]]] = {
    "framing": (Framing,), "reply_rule": (Plus, Table), "errors": (ErrorReply,), "conduct": (Conduct,),
    "volatile": (dict,),
}  # fmt: skip
_TEXTS: Final = ("carrier", "owner", "trace", "strict")
_KINDS: Final[tuple[Literal["request", "reply", "oneway"], ...]] = ("request", "reply", "oneway")


@dataclass
class OwnFacts:
    """What the first sheet says of the family."""

    sheet: Sheet
    rows: dict[str, int]
    values: dict[str, str]
    findings: list[Finding] = field(default_factory=list)

    def get(self, name: str) -> str:
        return self.values.get(name, "")

    def names(self, name: str) -> tuple[str, ...]:
        return tuple(each.strip() for each in self.get(name).split(",") if each.strip())

    def wrong(self, name: str, what: str) -> None:
        self.findings.append(Finding("error", "E-IMP-04", self.sheet.where(self.rows.get(name)), f"{name} {what}", "write it as in a spec"))

    def declared(self, name: str) -> str:
        """A declaration of the family, checked, as it stands in a spec; "" when there is none."""
        text = self.get(name)
        if not text:
            return ""
        try:
            value = read_declaration(text)
        except NotADeclaration as error:
            self.wrong(name, str(error))
            return ""
        if not isinstance(value, _DECLARED[name]):
            self.wrong(name, f"is no {' or '.join(kind.__name__ for kind in _DECLARED[name])}")
            return ""
        return spelled(value)


def own_facts(sheets: Iterable[Sheet]) -> OwnFacts | None:
    """The facts of the family, None when these are not sheets of ours."""
    for sheet in sheets:
        if sheet.rows and sheet.rows[0].cell(0).text == MARK:
            values, rows = dict[str, str](), dict[str, int]()
            for row in sheet.rows:
                name = row.cell(0).text
                if name in (HEADER, BODY, MESSAGE):
                    break
                values.setdefault(name, row.cell(1).text)
                rows.setdefault(name, row.number)
            return OwnFacts(sheet, rows, values)
    return None


def own_key(facts: Sequence[Fact], names: Iterable[str]) -> tuple[str, ...]:
    """A message's values of the key fields."""
    given = {fact.key: fact.value for fact in facts}
    return tuple(given.get(f"{KEY}{name}", "") for name in names)


def own_message(
    own: OwnFacts, where: str, facts: Sequence[Fact], key: tuple[str, ...], body: tuple[Imported, ...], line: int
) -> ImportedMessage:
    """A message as its sheet has it."""
    begin = next((n for n, fact in enumerate(facts) if fact.key == MESSAGE), 0)
    given: dict[str, str] = {}
    for fact in facts[begin:]:
        given.setdefault(fact.key, fact.value)
    kind = next((each for each in _KINDS if each == given.get(KIND)), None)
    if kind is None:
        own.findings.append(Finding("error", "E-IMP-04", where, f"{KIND} is none of {', '.join(_KINDS)}", "write one of them"))
    return ImportedMessage(
        given.get(MESSAGE, ""),
        body,
        given.get(TITLE, ""),
        key,
        kind or "oneway",
        _reply(own, where, given.get(REPLY, "")),
        SYNTHETIC in given,
        line,
    )


def _reply(own: OwnFacts, where: str, text: str) -> str:
    if not text:
        return ""
    try:
        reply: Any = read_declaration(text)
    except NotADeclaration as error:
        reply = str(error)
    if isinstance(reply, Reply):
        return spelled(reply)
    own.findings.append(Finding("error", "E-IMP-04", where, f"{REPLY} is no Reply.one, Reply.none or Reply.until", "write it as in a spec"))
    return ""


def own_spec(own: OwnFacts, header: tuple[Imported, ...], messages: Iterable[ImportedMessage], source: str) -> ImportedSpec:
    """The family as the first sheet has it."""
    length = own.get("length")
    arguments = {name: quoted(own.get(name)) for name in _TEXTS if own.get(name)}
    arguments |= {name: text for name in _DECLARED if name != "framing" and (text := own.declared(name))}
    if length and not length.isdecimal():
        own.wrong("length", "is no whole number")
    for name in own.values.keys() - {MARK, TITLE, NOT_CARRIED, "version", "encoding", "key", "correlation", "length", *_TEXTS, *_DECLARED}:
        own.findings.append(Finding("warning", "E-IMP-04", own.sheet.where(own.rows[name]), f"{name!r} is not known; it is left out"))
    return ImportedSpec(
        name=own.get(MARK),
        messages=tuple(messages),
        framing=own.declared("framing") or "Framing(FixedSize(1))",
        title=own.get(TITLE),
        version=own.get("version"),
        encoding=own.get("encoding") or "ascii",
        header=header,
        key=own.names("key"),
        correlation=own.names("correlation"),
        length=int(length) if length.isdecimal() else None,
        arguments=arguments,
        preface=(f"{own.get(TITLE) or own.get(MARK)}.", "", f"From {source}."),
    )
