"""The declaration column of our own sheets: each field's kind word for word, checked against the columns beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from telegram_router.telegrams.fields import Kind, Opaque
from telegram_router.telegrams.importers.model import Codes
from telegram_router.telegrams.importers.tables_blocks import FieldRow
from telegram_router.telegrams.importers.tables_findings import Told
from telegram_router.telegrams.importers.tables_types import CellType, Form
from telegram_router.telegrams.sheet_words import codes_text, picture, required_text
from telegram_router.telegrams.spelling import NotADeclaration, read_call, read_declaration, spelled

_PLACES: Final[Mapping[str, Form]] = {"Redefines": "views", "Versions": "versions", "Overlay": "overlay"}


@dataclass(frozen=True)
class Declared:
    """A declaration, read: a field kind, or what its rows below are to each other."""

    form: Form
    length: int
    text: str = ""  # as it stands in a spec, with {codes} where the codes belong
    kind: Kind | None = None
    codes: Mapping[Codes, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> CellType:
        return CellType(self.form)


def read_declared(told: Told, row: FieldRow) -> Declared | None:
    """The declaration of a row, None when it has none or a wrong one, which is told."""
    if not row.declaration:
        return None
    try:
        return _place(row.declaration) or _kind(told, row)
    except NotADeclaration as error:
        told.say("error", "E-IMP-04", row.row, f"{row.label}: the declaration {error}", "empty the cell to go by the other columns")
        return None


def _place(text: str) -> Declared | None:
    name = text.split("(", 1)[0].strip()
    if name not in _PLACES:
        return None
    _, given, named = read_call(text)
    if name == "Overlay":
        if len(given) != 1 or type(given[0]) is not int or named:
            raise NotADeclaration("is not of the form Overlay(13)")
        return Declared("overlay", given[0])
    if name == "Versions":
        if len(given) != 1 or not isinstance(given[0], str) or named:
            raise NotADeclaration('is not of the form Versions("sent_date")')
        return Declared("versions", 0, arguments={"by": given[0]})
    if given or not named.keys() <= {"by", "when", "default"}:
        raise NotADeclaration("is not of the form Redefines(by=..., when=..., default=...)")
    return Declared("views", 0, arguments=named)


def _kind(told: Told, row: FieldRow) -> Declared:
    kind = read_declaration(row.declaration)
    if not isinstance(kind, Kind):
        raise NotADeclaration("is no field kind")
    wrong = kind.mistakes()
    if wrong:
        raise NotADeclaration(f"is wrong: {wrong[0][1]}")
    _check_columns(told, row, kind)
    values = getattr(kind, "values", None)
    codes = dict(values) if isinstance(values, Mapping) and values else {}
    text = spelled(kind, {"values": "{codes}"} if codes else None)
    return Declared("rest" if isinstance(kind, Opaque) else "text", kind.length, text, kind, codes)


def _check_columns(told: Told, row: FieldRow, kind: Kind) -> None:
    """Whoever edits a column and forgets the declaration, or the other way round, is told."""
    for what, stated, own in (
        ("type", row.type, picture(kind)),
        ("column of required fields", row.required, required_text(kind)),
        ("column of codes", row.codes, codes_text(kind)),
    ):
        if stated and "".join(stated.split()) != "".join(own.split()):
            said = f"{row.label}: the {what} and the declaration say different things"
            told.say("error", "E-IMP-03", row.row, said, "empty the declaration to go by the other columns, or make both say the same")
