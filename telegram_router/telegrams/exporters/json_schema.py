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
from functools import singledispatch
from typing import TYPE_CHECKING, Any, Final

from telegram_router.telegrams.domains import Number as Numbers
from telegram_router.telegrams.domains import domain_of
from telegram_router.telegrams.exporters.walk import table_words
from telegram_router.telegrams.fields import Code, Date, Filler, Fixed, Flags, Float, Kind, Length, Number, Opaque, Text, Time
from telegram_router.telegrams.fields.calendars import parts_of, zeros_of
from telegram_router.telegrams.json_values import writer_of
from telegram_router.telegrams.layout import Node, PlannedField, PlannedGroup, PlannedTable, PlannedViews, is_flat

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
    sections = {section: _object([node for node in message.tree if node.section == section]) for section in ("header", "body")}
    return {
        "type": "object",
        "properties": {"message": {"const": message.name}, **sections, **_kept(message)},
        "required": ["message", *(name for name, schema in sections.items() if schema.get("required"))],
        "additionalProperties": False,
    }


def _object(nodes: Iterable[Node]) -> Schema:
    """An object of these fields, groups and tables; views and versions add properties of which only some may be there."""
    properties: Schema = {}
    required: list[str] = []
    clauses: list[Schema] = []
    for node in nodes:
        if isinstance(node, PlannedViews):
            found, clause = _dated(node) if node.kind == "date" else _viewed(node)
            properties |= found
            clauses.append(clause)
        elif node.name:
            properties[node.name] = node_schema(node)
            if not (isinstance(node, PlannedField) and node.may_be_left_out):
                required.append(node.name)
    made: Schema = {"type": "object", "properties": properties}
    made |= {"required": required} if required else {}
    made |= {"allOf": clauses} if clauses else {}
    return made | {"additionalProperties": False}


def node_schema(node: Node) -> Schema:
    """The schema of a field, a group or a table."""
    if isinstance(node, PlannedField):
        return field_schema(node)
    if isinstance(node, PlannedTable):
        about = f"{table_words(node)}, offset {node.offset}"
        return {"title": node.label or node.name, "description": about, "type": "array", "items": node_schema(node.item)} | {
            "minItems": node.least,
            "maxItems": node.most,
        }
    assert isinstance(node, PlannedGroup)
    return ({"title": node.label or node.name} if node.label or node.name else {}) | _object(node.members)


def _viewed(views: PlannedViews) -> tuple[Schema, Schema]:
    """Exactly one view, under its name; and which one, where the field that chooses it stands beside it."""
    shown = views.views if views.chooser else views.views[:1]
    names = [view.name for _, view in shown if view.name]
    beside = views.chooser.field if views.chooser and views.chooser.up == 0 else None
    branches = []
    for name, view in shown:
        properties: Schema = {other: False for other in names if other != view.name}
        if beside is not None:
            properties[beside.name] = _choosing(views, name, beside)
        branches.append({"title": name, "properties": properties} | ({"required": [view.name]} if view.name else {}))
    return {view.name: node_schema(view) for _, view in shown if view.name}, {"oneOf": branches}


def _choosing(views: PlannedViews, name: str, chooser: PlannedField) -> Schema:
    """The values that choose a view."""
    others = [value for value, view in views.when.items() if view != name]
    if name == views.default:
        return {"not": {"enum": _as_json(others, chooser)}} if others else {}
    return {"enum": _as_json([value for value, view in views.when.items() if view == name], chooser)}


def _as_json(values: Iterable[Any], chooser: PlannedField) -> list[Any]:
    """Values as they stand in JSON, whole numbers as numbers too."""
    write = writer_of(chooser.kind)
    written = [write(value) if write else value for value in values]
    return [*written, *(value for value in values if isinstance(value, int) and value not in written)]


def _dated(views: PlannedViews) -> tuple[Schema, Schema]:
    """The fields of one version; which one, follows from a date that stands elsewhere."""
    versions = {day: _object(view.members) for day, view in views.views if isinstance(view, PlannedGroup)}
    every: dict[str, list[Schema]] = {}
    for schema in versions.values():
        for name, found in schema["properties"].items():
            every.setdefault(name, []).append(found)
    properties = {name: found[0] if len(found) == 1 else {"anyOf": found} for name, found in every.items()}
    branches = [
        {
            "title": f"from {day}" if day else "from the beginning",
            "properties": {name: schema["properties"].get(name, False) for name in every},
            "required": schema.get("required", []),
        }
        for day, schema in versions.items()
    ]
    return properties, {"anyOf": branches}


def _kept(message: MessageLayout) -> Schema:
    """Bytes beside the values, by the offset that they have with every table at its maximum."""
    groups: dict[str, list[PlannedField]] = {"$filler": [], "$as_sent": []}
    for planned in message.fields:
        if not planned.is_opaque:
            groups["$filler" if isinstance(planned.kind, Filler) else "$as_sent"].append(planned)
    if not is_flat(message.tree):  # unused places of tables may hold something too
        return {group: {"type": "object", "patternProperties": {"^[0-9]{1,9}$": {"type": "string"}}} for group in groups}
    return {group: _kept_group(group, fields) for group, fields in groups.items() if fields}


def _kept_group(group: str, fields: Iterable[PlannedField]) -> Schema:
    what = "reserved bytes that are not blank" if group == "$filler" else "fields that were written in another than the canonical way"
    return {
        "type": "object",
        "description": f"{what}, by offset: text, or hex behind `hex:`",
        "properties": {str(f.offset): {"type": "string", "pattern": _kept_pattern(f.length), "title": f.path} for f in fields},
        "additionalProperties": False,
    }


def _kept_pattern(length: int) -> str:
    return f"^(hex:([0-9A-Fa-f]{{2}}){{{length}}}|(?!hex:)[\\s\\S]{{0,{length}}})$"


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
    schema, caveat = _of_kind(kind)
    return schema, "follows from the number of items" if planned.counts else caveat


@singledispatch
def _of_kind(kind: Kind) -> tuple[Schema, str]:
    return {"type": ["string", "null"]}, ""


@_of_kind.register
def _(kind: Length) -> tuple[Schema, str]:
    written: Schema = {"type": "string", "pattern": f"^0{{0,{_LONGEST_NUMBER - kind.length}}}[0-9]{{1,{kind.length}}}$"}
    number: Schema = {"type": "integer", "minimum": 0, "maximum": 10**kind.length - 1}
    forms = (number, written) if kind.json == "number" else (written, number)
    return {"anyOf": [*forms, {"type": "null"}]}, "follows from the telegram's size"


@_of_kind.register
def _(kind: Fixed) -> tuple[Schema, str]:
    return {"enum": [kind.text, *([""] if kind.or_blank else []), None]}, ""


@_of_kind.register
def _(kind: Opaque) -> tuple[Schema, str]:
    most = {} if kind.max is None else {"maxLength": -(-kind.max // 3) * 4}
    pattern = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
    size = {"minLength": -(-kind.min // 3) * 4, **most}
    return {"type": "string", "contentEncoding": "base64", **size, "pattern": pattern}, "base64"


@_of_kind.register
def _(kind: Flags) -> tuple[Schema, str]:
    return {"type": "array", "items": {"enum": list(kind.bits)}}, "the names of the bits that are set"


@_of_kind.register
def _(kind: Float) -> tuple[Schema, str]:
    pattern = "^-?[0-9]{1,40}(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?$"
    return {"anyOf": [{"type": "string", "pattern": pattern}, {"type": "integer"}]}, "as many digits as the field keeps"


@_of_kind.register
def _(kind: Number) -> tuple[Schema, str]:
    """As a decimal string; whole numbers are taken as JSON numbers too."""
    domain = domain_of(kind)
    assert isinstance(domain.what, Numbers)
    made: list[Schema] = [
        {"type": "string", "pattern": f"^{'-?' if domain.what.least < 0 else ''}{_figures(domain.what)}$"},
        {"type": "integer", **_bounds(domain.what)},
        *([{"type": "null"}] if domain.absent else []),
    ]
    if kind.json == "number":
        made[0], made[1] = made[1], made[0]
    return {"anyOf": made}, kind.within_words.lstrip(", ")


def _figures(number: Numbers) -> str:
    """A pattern for numbers without sign. Zeros in front, and behind the digits that are stored, change nothing."""
    largest = max(abs(number.least), abs(number.most))
    if number.scale < 0:
        zeros, stored = -number.scale, len(str(largest))
        return f"(0{{0,{_LONGEST_NUMBER - stored - zeros}}}[0-9]{{1,{stored}}}0{{{zeros}}}|0{{1,{zeros}}})"
    whole = largest // 10**number.scale
    digits = len(str(whole)) if whole else 0
    front = f"0{{0,{_LONGEST_NUMBER - digits}}}[0-9]{{1,{digits}}}" if digits else f"0{{1,{_LONGEST_NUMBER}}}"
    return front + (f"(\\.[0-9]{{1,{number.scale}}}0{{0,{_LONGEST_NUMBER - number.scale}}})?" if number.scale else "")


def _bounds(number: Numbers) -> Schema:
    """Smallest and largest whole number."""
    if number.scale < 0:
        unit = 10**-number.scale
        return {"minimum": number.least * unit, "maximum": number.most * unit, "multipleOf": unit}
    unit = 10**number.scale
    return {"minimum": -(-number.least // unit), "maximum": number.most // unit}


# Each part of a form as a pattern; what a month or an era allows beyond that is the encoder's to refuse.
_PARTS: Final[Mapping[str, str]] = {
    "YYYY": "(?!0000)[0-9]{4}",
    "YY": "[0-9]{2}",
    "MM": "(0[1-9]|1[0-2])",
    "DDD": "(?!000)[0-3][0-9]{2}",
    "DD": "(0[1-9]|[12][0-9]|3[01])",
    "hh": "([01][0-9]|2[0-3])",
    "mm": "[0-5][0-9]",
    "ss": "[0-5][0-9]",
    "E": "[MTSHR1-5]",
}


@_of_kind.register(Date)
@_of_kind.register(Time)
def _(kind: Date | Time) -> tuple[Schema, str]:
    caveat = "days that do not exist are refused"
    pattern = "".join(_part(part.token) for part in parts_of(kind.form) or ())
    if kind.blank == "error":
        return {"type": "string", "pattern": f"^{pattern}$"}, caveat
    zeros = "|" + re.escape(zeros_of(kind.form)) if kind.blank == "zeros" else ""
    return {"type": ["string", "null"], "pattern": f"^({pattern}{zeros})?$"}, caveat


def _part(token: str) -> str:
    return f"[0-9]{{{len(token)}}}" if token.startswith("f") else _PARTS.get(token, re.escape(token))


@_of_kind.register
def _(kind: Code) -> tuple[Schema, str]:
    schema, caveat = _code(kind)
    caveat = "; ".join(filter(None, (caveat, "its check digit must be right" if kind.check else "")))
    if kind.enum != "both":
        return schema, caveat
    name: Schema = {"type": ["string", "null"]}
    named = {"type": "object", "properties": {"value": schema, "name": name}, "required": ["value"], "additionalProperties": False}
    return {"anyOf": [named, schema]}, caveat


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


@_of_kind.register
def _(kind: Text) -> tuple[Schema, str]:
    absent = not kind.required
    made: Schema = {"type": ["string", "null"] if absent else "string", "maxLength": kind.length}
    encoding = kind.encoding or "ascii"
    caveat = f"at most {kind.length} bytes in {encoding}, which may be fewer characters"
    return made | {"pattern": f"^{_NO_CONTROL}*$" if absent else f"^{_NO_CONTROL}*[^ {_CONTROL}]{_NO_CONTROL}*$"}, caveat
