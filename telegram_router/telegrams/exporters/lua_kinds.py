"""What the Lua code has to know of each kind of field to read its bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import singledispatch
from typing import Any

from telegram_router.telegrams.fields import (
    Amount,
    Binary,
    CharKind,
    Code,
    Date,
    Digits,
    Edited,
    Filler,
    Fixed,
    Flags,
    Float,
    Kind,
    Length,
    Number,
    Opaque,
    Packed,
    Text,
    Time,
    Zoned,
    blank_of,
)
from telegram_router.telegrams.fields.calendars import zeros_of
from telegram_router.telegrams.fields.encodings import UTF16, codec_name
from telegram_router.telegrams.layout import PlannedField

Facts = dict[str, Any]

_WIDEST_INT64 = 18  # digits
_EXACT = 15  # digits that a Lua number holds


def facts_of(planned: PlannedField) -> tuple[Facts, str]:
    """What is to be known of a field, and the type of its value in Wireshark: string, bytes, int64 or double; "" without a value."""
    if planned.key is not None:
        return {"t": "code"} | _charset(planned.kind), "string"
    facts, form = _facts(planned.kind)
    return facts | _charset(planned.kind), form


def encodings_of(planned: PlannedField) -> Iterator[str]:
    """Code pages that are needed to read a field."""
    kind = planned.kind
    if isinstance(kind, Text):
        yield _page_of(kind)
    elif isinstance(kind, CharKind) and not kind.charset.is_ascii:
        yield kind.charset.name


def _page_of(kind: Text) -> str:
    """As the spec names it; UTF-16, which has many names, as Lua knows it."""
    given = kind.encoding or "ascii"
    name = codec_name(given)
    return name if name in UTF16 else given


def _charset(kind: Kind) -> Facts:
    return {"e": kind.charset.name} if isinstance(kind, CharKind) and not kind.charset.is_ascii else {}


@singledispatch
def _facts(kind: Kind) -> tuple[Facts, str]:
    return {"t": "bytes"}, "bytes"


@_facts.register
def _(kind: Filler) -> tuple[Facts, str]:
    return {"t": "filler"}, ""


@_facts.register
def _(kind: Opaque) -> tuple[Facts, str]:
    return {"t": "bytes"}, "bytes"


@_facts.register
def _(kind: Fixed) -> tuple[Facts, str]:
    return {"t": "constant", "value": kind.constant, "or_blank": kind.or_blank}, "string"


@_facts.register
def _(kind: Length) -> tuple[Facts, str]:
    return {"t": "length", "adjust": kind.adjust}, "int64"


@_facts.register
def _(kind: Text) -> tuple[Facts, str]:
    page = _page_of(kind)
    plain = kind.pad == blank_of(codec_name(page) or "ascii")
    facts = {"t": "text", "enc": page, "right": kind.align == "right", "required": kind.required}
    return facts | {"pad": None if plain else kind.pad, "wide": kind.wide, "double": kind.double_byte, "low": kind.null == "low"}, "string"


@_facts.register
def _(kind: Code) -> tuple[Facts, str]:
    facts: Facts = {"t": "code", "required": kind.required, "digits": kind.digits}
    if kind.values is None:
        return facts, "string"
    given = kind.values if isinstance(kind.values, Mapping) else dict.fromkeys(kind.values, "")
    singles = {code: name for code, name in given.items() if isinstance(code, str)}
    ranges = [[*code, name] for code, name in given.items() if isinstance(code, tuple)]
    return facts | {"names": singles, "ranges": ranges}, "string"


@_facts.register(Date)
@_facts.register(Time)
def _(kind: Date | Time) -> tuple[Facts, str]:
    zeros = zeros_of(kind.form) if kind.blank == "zeros" else None
    absent = {"filled": kind.blank == "error", "zeros": zeros, "low": kind.blank == "low"}
    return {"t": "moment", "form": kind.form} | absent, "string"


@_facts.register
def _(kind: Flags) -> tuple[Facts, str]:
    bits = []
    for name, mask in kind.bits.items():
        place = mask.bit_length() - 1
        bits.append([name, kind.length - place // 8, 1 << place % 8])
    return {"t": "flags", "bits": bits}, "string"


@_facts.register
def _(kind: Float) -> tuple[Facts, str]:
    return {"t": "float", "form": kind.form, "little": kind.order == "little"}, "double"


# --- numbers ----------------------------------------------------------------------------------------------------


def _number(kind: Number, facts: Facts) -> tuple[Facts, str]:
    """Facts that all numbers have. Limits are checked as far as Lua's numbers are exact."""
    limits: Facts = {}
    if kind.digits <= _EXACT and kind.scale <= 0:
        limits = {name: limit for name, limit in (("least", kind.lowest), ("most", kind.highest)) if isinstance(limit, int)}
    form = "double" if kind.scale > 0 else "int64" if kind.digits - kind.scale <= _WIDEST_INT64 else "string"
    return {"scale": kind.scale} | limits | facts, form


def _absent(kind: Any) -> Facts:
    """What may stand in a number's stead."""
    return {"filled": kind.blank == "error", "low": kind.null == "low"}


@_facts.register
def _(kind: Digits) -> tuple[Facts, str]:
    return _number(kind, {"t": "digits"} | _absent(kind))


@_facts.register
def _(kind: Amount) -> tuple[Facts, str]:
    return _number(kind, {"t": "amount", "trailing": kind.sign == "trailing"} | _absent(kind))


@_facts.register
def _(kind: Zoned) -> tuple[Facts, str]:
    if kind.sign is None:
        return _number(kind, {"t": "digits"} | _absent(kind))
    signs = {"marks": kind.marks, "leading": kind.leading, "separate": kind.separate}
    return _number(kind, {"t": "zoned"} | signs | _absent(kind))


@_facts.register
def _(kind: Packed) -> tuple[Facts, str]:
    facts = {"t": "packed", "digits": kind.digits, "signed": kind.signed, "unsigned": not kind.nibble_sign}
    return _number(kind, facts | {"low": kind.null == "low", "blank": kind.null == "blank"})


@_facts.register
def _(kind: Binary) -> tuple[Facts, str]:
    digits = {} if kind.given_digits is None else {"digits": kind.digits}
    return _number(kind, {"t": "binary", "signed": kind.signed, "little": kind.order == "little"} | digits)


@_facts.register
def _(kind: Edited) -> tuple[Facts, str]:
    return {"t": "edited", "filled": kind.blank == "error"}, "string"
