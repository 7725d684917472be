"""JSON Schema (2020-12) of the message form: what `to_json` gives and `from_json` takes."""

# Rules this file keeps, all of them tested:
#
# 1. Whatever `to_json` gives of a telegram is valid.
# 2. Whatever `from_json` refuses is not valid.
# 3. What is valid can be encoded, but for what JSON Schema cannot say: lengths counted in bytes, days that a month does not
#    have, characters that the encoding does not have. Each description says which of these its field has.

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from telegram_router.telegrams.domains import Characters, Choice, Moment, Number, Octets, Real, domain_of
from telegram_router.telegrams.fields import Code, Filler, Fixed, Kind, Length, Text
from telegram_router.telegrams.layout import PlannedField

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_LONGEST_NUMBER: Final = 40  # digits that the reader takes on either side of the point


def message_schema(message: MessageLayout) -> Schema:
    """The schema of one message, complete in itself."""
    spec = message.spec
    about = " ".join(filter(None, (message.title, f"({spec.name} {spec.version})".replace(" )", ")"))))
    return {"$schema": DIALECT, "$id": f"urn:telegram:{spec.name}:{message.name}", "title": message.name, "description": about} | _form(
        message
    )


def spec_schema(spec: Spec) -> Schema:
    """One schema for all messages of a spec: exactly one of them fits, the one that `message` names."""
    return {
        "$schema": DIALECT,
        "$id": f"urn:telegram:{spec.name}",
        "title": " ".join(filter(None, (spec.name, spec.version))),
        "description": spec.title,
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in spec.messages],
        "$defs": {
            message.name: {"title": message.name, "description": message.title} | _form(message) for message in spec.messages.values()
        },
    }


def _form(message: MessageLayout) -> Schema:
    sections = {section: _section(message, section) for section in ("header", "body")}
    properties: Schema = {"message": {"const": message.name}, **sections}
    for group, fillers in (("$filler", True), ("$as_sent", False)):
        kept = [f for f in message.fields if isinstance(f.kind, Filler) is fillers and not f.is_opaque]
        if kept:
            properties[group] = _kept(group, kept)
    return {
        "type": "object",
        "properties": properties,
        "required": ["message", *(name for name, schema in sections.items() if schema.get("required"))],
        "additionalProperties": False,
    }


def _section(message: MessageLayout, section: str) -> Schema:
    fields = [f for f in message.fields if f.section == section and f.name]
    return _object({f.name: field_schema(f) for f in fields}, (f.name for f in fields if not f.may_be_left_out))


def _object(properties: Schema, required: Iterable[str]) -> Schema:
    made: Schema = {"type": "object", "properties": properties}
    names = list(required)
    if names:
        made["required"] = names
    return made | {"additionalProperties": False}


def _kept(group: str, fields: Iterable[PlannedField]) -> Schema:
    """Bytes beside the values, by offset."""
    what = "reserved bytes that are not blank" if group == "$filler" else "fields that were written in another than the canonical way"
    return {
        "type": "object",
        "description": f"{what}, by offset: text, or hex behind `hex:`",
        "properties": {
            str(f.offset): {
                "type": "string",
                "pattern": f"^(hex:([0-9A-Fa-f]{{2}}){{{f.length}}}|(?!hex:)[\\s\\S]{{0,{f.length}}})$",
                "title": f.path,
            }
            for f in fields
        },
        "additionalProperties": False,
    }


# --- one field --------------------------------------------------------------------------------------------------


def field_schema(planned: PlannedField) -> Schema:
    """The schema of a field's value, with label, rule and place."""
    place = f"{planned.rule}, offset {planned.offset}" + (f", {planned.length} bytes" if planned.length else "")
    values, caveat = _values(planned)
    return {"title": planned.label or planned.name, "description": f"{place}; {caveat}" if caveat else place} | values


def _values(planned: PlannedField) -> tuple[Schema, str]:
    """What the value may be, and what JSON Schema cannot say of it."""
    kind = planned.kind
    if planned.key is not None:
        return ({"const": planned.key} if planned.key else {"enum": ["", None]}), ""
    if isinstance(kind, Length):
        return _length(kind), "follows from the telegram's size"
    if isinstance(kind, Fixed):
        return {"enum": [kind.text, *([""] if kind.or_blank else []), None]}, ""
    if isinstance(kind, Code):
        return _code(kind)
    if isinstance(kind, Text):  # its domain knows every character, which takes long to find out
        return _text(kind, not kind.required)
    domain = domain_of(kind)
    absent = bool(domain.absent)
    match domain.what:
        case Number() as number:
            limits = getattr(kind, "within_words", "").lstrip(", ")
            return _number(kind, number, absent), limits
        case Real():
            return _or_null({"type": "string", "pattern": f"^{_REAL}$"}, absent), "a decimal number, as exact as the field holds"
        case Moment():
            return _moment(domain.what.form, absent, zeros=getattr(kind, "blank", "") == "zeros"), "days that do not exist are refused"
        case Octets():
            return _bytes(domain.what), "base64"
        case Characters() as characters:
            return {"type": ["string", "null"] if absent else "string", "maxLength": characters.most}, ""
        case Choice() as choice:
            return {"enum": [*choice.values, *(["", None] if absent else [])]}, ""


def _or_null(schema: Schema, absent: bool) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]} if absent else schema


_REAL: Final = "-?[0-9]{1,40}(\\.[0-9]{1,40})?"


def _number(kind: Kind, number: Number, absent: bool) -> Schema:
    """As a decimal string; whole numbers are taken as JSON numbers too."""
    made: list[Schema] = [
        {"type": "string", "pattern": f"^{'-?' if number.least < 0 else ''}{_figures(number)}$"},
        {"type": "integer", **_bounds(number)},
        *([{"type": "null"}] if absent else []),
    ]
    if kind.json == "number":
        made[0], made[1] = made[1], made[0]
    return {"anyOf": made}


def _figures(number: Number) -> str:
    """A pattern for numbers without sign. Zeros in front, and behind the digits that are stored, change nothing."""
    largest = max(abs(number.least), abs(number.most))
    if number.scale < 0:
        zeros, stored = -number.scale, len(str(largest))
        return f"(0{{0,{_LONGEST_NUMBER - stored - zeros}}}[0-9]{{1,{stored}}}0{{{zeros}}}|0{{1,{zeros}}})"
    whole = largest // 10**number.scale
    digits = len(str(whole)) if whole else 0
    front = f"0{{0,{_LONGEST_NUMBER - digits}}}[0-9]{{1,{digits}}}" if digits else f"0{{1,{_LONGEST_NUMBER}}}"
    return front + (f"(\\.[0-9]{{1,{number.scale}}}0{{0,{_LONGEST_NUMBER - number.scale}}})?" if number.scale else "")


def _bounds(number: Number) -> Schema:
    """Smallest and largest whole number."""
    if number.scale < 0:
        unit = 10**-number.scale
        return {"minimum": number.least * unit, "maximum": number.most * unit, "multipleOf": unit}
    unit = 10**number.scale
    return {"minimum": -(-number.least // unit), "maximum": number.most // unit}


def _length(kind: Length) -> Schema:
    written: Schema = {"type": "string", "pattern": f"^0{{0,{_LONGEST_NUMBER - kind.length}}}[0-9]{{1,{kind.length}}}$"}
    number: Schema = {"type": "integer", "minimum": 0, "maximum": 10**kind.length - 1}
    return {"anyOf": [*((number, written) if kind.json == "number" else (written, number)), {"type": "null"}]}


# Each part of a form as a pattern; what a month or an era allows beyond that is the encoder's to refuse.
_PARTS: Final[Mapping[str, str]] = {
    "YYYY": "(?!0000)[0-9]{4}",
    "YY": "[0-9]{2}",
    "MM": "(0[1-9]|1[0-2])",
    "DD": "(0[1-9]|[12][0-9]|3[01])",
    "hh": "([01][0-9]|2[0-3])",
    "mm": "[0-5][0-9]",
    "ss": "[0-5][0-9]",
}


def _moment(form: str, absent: bool, *, zeros: bool) -> Schema:
    pattern = re.sub("|".join(_PARTS), lambda part: _PARTS[part[0]], form)
    if not absent:
        return {"type": "string", "pattern": f"^{pattern}$"}
    return {"type": ["string", "null"], "pattern": f"^({pattern}{f'|0{{{len(form)}}}' if zeros else ''})?$"}


def _code(kind: Code) -> tuple[Schema, str]:
    """A list of codes as an enum; else by the characters that it may have."""
    absent = [] if kind.required else ["", None]
    singles = [value for value in kind.values or () if isinstance(value, str)]
    if kind.values is not None and len(singles) == len(kind.values):
        return {"enum": [*singles, *absent]}, "; ".join(f"{code} = {name}" for code, name in kind.names.items() if name)
    if kind.digits:
        pattern = f"^[0-9]{{{kind.length}}}$" if kind.required else f"^([0-9]{{{kind.length}}})?$"
    else:
        pattern = f"^(?! *$)[ -~]{{1,{kind.length}}}$" if kind.required else f"^[ -~]{{0,{kind.length}}}$"
    ranges = [" to ".join(value) if isinstance(value, tuple) else value for value in kind.values or ()]
    return {"type": ["string", "null"] if absent else "string", "pattern": pattern}, ", ".join(ranges)


_CONTROL: Final = "\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029"  # as a pattern spells them
_NO_CONTROL: Final = f"[^{_CONTROL}]"


def _text(kind: Text, absent: bool) -> tuple[Schema, str]:
    made: Schema = {"type": ["string", "null"] if absent else "string", "maxLength": kind.length}
    encoding = kind.encoding or "ascii"
    caveat = f"at most {kind.length} bytes in {encoding}, which may be fewer characters"
    return made | {"pattern": f"^{_NO_CONTROL}*$" if absent else f"^{_NO_CONTROL}*[^ {_CONTROL}]{_NO_CONTROL}*$"}, caveat


def _bytes(octets: Octets) -> Schema:
    most = {} if octets.most is None else {"maxLength": -(-octets.most // 3) * 4}
    pattern = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
    return {"type": "string", "contentEncoding": "base64", "minLength": -(-octets.least // 3) * 4, **most, "pattern": pattern}
