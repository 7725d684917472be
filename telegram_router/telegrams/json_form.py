"""A telegram as JSON and back, byte for byte: {"message": …, "header": {…}, "body": {…}}."""

# Rules this file keeps, all of them tested:
#
# 1. Codes, account numbers, dates and texts are strings, exactly as they stand: leading zeros stay, nothing is normalised.
# 2. Amounts are decimal strings with exactly their scale's digits. A JSON float is never written and never accepted.
# 3. Bytes that the values do not carry travel beside them: filler in "$filler", fields written in another than the
#    canonical way in "$as_sent", both by offset. So telegram -> JSON -> telegram gives the same bytes.
# 4. A refusal names the place in the JSON and what was expected, never what stood there. Names that came with the JSON are
#    not repeated either: they could be anything.

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NoReturn
from weakref import WeakKeyDictionary

import msgspec

from telegram_router.errors import FieldError, FieldProblem
from telegram_router.telegrams.fields import FieldFault, Filler, blank_of
from telegram_router.telegrams.json_nested import GroupForm, Names
from telegram_router.telegrams.json_values import Convert, form_problem, json_type, nearest, reader_of, writer_of
from telegram_router.telegrams.layout import PlannedField, is_flat
from telegram_router.telegrams.telegram import Telegram

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

MAX_DEPTH: Final = 32  # nesting of JSON that is looked at; our form needs 2
SECTIONS: Final = ("header", "body")
_KEPT: Final = ("$filler", "$as_sent")
_FORM_NAMES: Final = frozenset({"message", *SECTIONS, *_KEPT})
_HEX: Final = "hex:"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


# --- telegram to JSON -------------------------------------------------------------------------------------------


def to_json(telegram: Telegram) -> bytes:
    """The telegram in the message form, UTF-8. Raises FieldError where a value is not of its field's type."""
    return _encode(to_object(telegram))


def to_object(telegram: Telegram) -> dict[str, Any]:
    """The telegram in the message form, of strings, ints and None only."""
    form = form_of(telegram.message)
    made: dict[str, Any] = {
        "message": telegram.message.name,
        "header": form.written("header", telegram.header),
        "body": form.written("body", telegram.body),
    }
    if telegram.residue:
        made |= form.written_residue(telegram.residue)
    return made


def masked_object(telegram: Telegram) -> dict[str, Any]:
    """The message form for logs: values of fields that are log="clear", the size of all others, no filler."""
    form = form_of(telegram.message)
    return {"message": telegram.message.name} | {
        section: {name: form.masked(section, name, value) for name, value in values.items()}
        for section, values in (("header", telegram.header), ("body", telegram.body))
    }


# --- JSON to telegram -------------------------------------------------------------------------------------------


def from_json(spec: Spec, text: bytes, *, strict: bool = True) -> Telegram:
    """The telegram that a message form in UTF-8 stands for. Raises FieldError.

    `strict` also refuses an object that has a key twice, which the fast reader does not notice: it keeps the last.
    """
    return from_object(spec, read_json(text, strict=strict))


def from_object(spec: Spec, given: Any) -> Telegram:
    """The telegram that a message form stands for. Raises FieldError with everything that is wrong with the form.

    What the fields' own rules forbid (a text that is too long, a date that does not exist) is found on encoding.
    """
    message = _message_of(spec, given)
    form = form_of(message)
    problems: list[FieldProblem] = []
    header, body, residue = form.read(given, problems)
    if problems:
        raise FieldError(problems)
    return Telegram(spec, message, header, body, residue or None)


def _message_of(spec: Spec, given: Any) -> MessageLayout:
    expected = f"an object with the name of one of {len(spec.messages)} messages under `message`"
    if type(given) is not dict:
        raise FieldError([form_problem(spec.name, "", "", f"JSON is {json_type(given)}", expected)])
    name = given.get("message")
    if type(name) is not str:
        raise FieldError([form_problem(spec.name, "", "/message", f"value is {json_type(name)}", expected)])
    message = spec.messages.get(name)
    if message is None:
        raise FieldError(
            [form_problem(spec.name, "", "/message", "no message of the spec has this name", nearest(name, spec.messages) or expected)]
        )
    return message


def read_json(text: bytes, *, strict: bool) -> Any:
    """Parsed JSON of bounded depth. Raises FieldError; its text is a position at most, never content."""
    if _may_be_deep(text) and _depth(text) > MAX_DEPTH:
        raise _not_json(f"nesting deeper than {MAX_DEPTH}")
    return _read_strictly(text) if strict else _read_fast(text)


def _read_fast(text: bytes) -> Any:
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        position = re.search(r"\(byte \d+\)$", str(error))
    raise _not_json("malformed" + (f" {position[0]}" if position else ""))


def _read_strictly(text: bytes) -> Any:
    """Slower, by the standard library: it tells us of every key and every number."""
    try:
        return json.loads(
            text.decode("utf-8"), object_pairs_hook=_unique, parse_float=_refuse_float, parse_constant=_refuse_float, parse_int=_bounded_int
        )
    except _Refused as refused:
        what = str(refused)
    except json.JSONDecodeError as error:
        what = f"malformed (character {error.pos})"
    except UnicodeDecodeError as error:
        what = f"not UTF-8 (byte {error.start})"
    raise _not_json(what)


class _Refused(Exception):
    """Raised inside the standard library's parser; its text holds nothing of the input."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _Refused("an object has the same key twice")
    return made


def _refuse_float(literal: str) -> NoReturn:
    raise _Refused("a number with a fraction or an exponent: write amounts as strings")


def _bounded_int(literal: str) -> int:
    if len(literal) > 40:
        raise _Refused("a number of more than 40 digits")
    return int(literal)


def _may_be_deep(text: bytes) -> bool:
    return text.count(b"[") + text.count(b"{") > MAX_DEPTH


def _depth(text: bytes) -> int:
    """Deepest nesting; brackets inside strings do not count."""
    deepest = depth = 0
    for bracket in re.sub(rb'"(?:[^"\\]|\\.)*"|[^\[\]{}"]+', b"", text, flags=re.DOTALL):
        depth += 1 if bracket in b"[{" else -1 if bracket in b"]}" else 0
        deepest = max(deepest, depth)
    return deepest


def _not_json(what: str) -> FieldError:
    return FieldError([form_problem("", "", "", f"JSON refused: {what}", "one JSON object in UTF-8")])


# --- one message ------------------------------------------------------------------------------------------------


class MessageForm:
    """How the values of one message are written as JSON and read again; made once per message."""

    def __init__(self, message: MessageLayout) -> None:
        self.spec = message.spec.name
        self.message = message.name
        self._encoding = message.spec.encoding
        self._codec = message.codec
        names, nested = Names(self.spec, self.message), not is_flat(message.tree)
        self._groups = {
            section: GroupForm(names, [node for node in message.tree if node.section == section]) for section in SECTIONS if nested
        }
        self.fields: dict[str, dict[str, PlannedField]] = {
            section: {planned.name: planned for planned in message.fields if planned.section == section and planned.name and not nested}
            for section in SECTIONS
        }
        # Most values go into the JSON as they are, so only the others are listed.
        self._writers = {
            section: [(name, write) for name, planned in fields.items() if (write := writer_of(planned.kind))]
            for section, fields in self.fields.items()
        }
        self._readers = {
            section: {name: reader_of(planned.kind) for name, planned in fields.items()} for section, fields in self.fields.items()
        }

    def written(self, section: str, values: dict[str, Any]) -> dict[str, Any]:
        """Values for the JSON."""
        if self._groups:
            problems: list[FieldProblem] = []
            nested: dict[str, Any] = self._groups[section].write(values, f"/{section}", problems)
            if problems:
                raise FieldError(problems)
            return nested
        made = values.copy()
        for name, write in self._writers[section]:
            if name in made:
                try:
                    made[name] = write(made[name])
                except FieldFault as fault:
                    raise FieldError([self._problem(section, name, fault)]) from None
        return made

    @cached_property
    def _places(self) -> dict[str, tuple[str, str, Convert | None]]:
        """Only who asks for single values by their names needs it; a router does not, and holds every spec."""
        return {
            called: (section, name, writer_of(planned.kind))
            for section in ("header", "body")  # the body's names go before the header's
            for name, planned in self.fields[section].items()
            for called in (name, f"{section}.{name}")
        }

    @property
    def is_flat(self) -> bool:
        """Whether `value` can be asked."""
        return not self._groups

    def value(self, telegram: Telegram, name: str) -> Any:
        """One value for the JSON, by its path or by its name alone: the body's, or else the header's. None where there is none."""
        place = self._places.get(name)
        if place is None:
            return None
        section, name, write = place
        value = (telegram.body if section == "body" else telegram.header).get(name)
        return value if write is None or value is None else write(value)

    def masked(self, section: str, name: str, value: Any) -> Any:
        if self._groups:
            return self._groups[section].masked({name: value})[name]
        planned = self.fields[section].get(name)
        if planned is None or planned.log != "clear":
            return f"[{planned.length or len(value) if planned else 0} bytes]"
        write = writer_of(planned.kind)
        return write(value) if write else value

    def read(
        self, given: dict[str, Any], problems: list[FieldProblem], *, whole: bool = True
    ) -> tuple[dict[str, Any], dict[str, Any], dict[int, bytes]]:
        """Header, body and residue of a message form; what is wrong with it goes into `problems`. Unless it is to be `whole`,
        fields may be missing."""
        if not given.keys() <= _FORM_NAMES:
            problems += self.unknown_names("", given, _FORM_NAMES)
        header, body = (self._read_section(section, given.get(section, {}), problems, whole) for section in SECTIONS)
        residue: dict[int, bytes] = {}
        for group in _KEPT:
            if group in given:
                residue |= self._read_residue(group, given[group], problems)
        return header, body, residue

    def _read_section(self, section: str, given: Any, problems: list[FieldProblem], whole: bool) -> dict[str, Any]:
        if type(given) is not dict:
            problems.append(form_problem(self.spec, self.message, f"/{section}", f"value is {json_type(given)}", "an object"))
            return {}
        if self._groups:
            return self._groups[section].values(given, f"/{section}", problems, whole)
        readers = self._readers[section]
        if given.keys() == readers.keys():  # the usual case, in a third of the time
            try:
                return {name: read(given[name]) for name, read in readers.items()}
            except FieldFault:
                pass
        values = {}
        for name, read in readers.items():
            if name in given:
                try:
                    values[name] = read(given[name])
                except FieldFault as fault:
                    problems.append(self._problem(section, name, fault))
            elif whole and not self.fields[section][name].may_be_left_out:
                problems.append(self._problem(section, name, self.fields[section][name].kind.fault("E-FLD-12", "field is missing")))
        if not given.keys() <= readers.keys():
            problems += self.unknown_names(f"/{section}", given, self.fields[section])
        return values

    def unknown_names(self, path: str, given: Mapping[str, Any], known: Iterable[str]) -> list[FieldProblem]:
        """One problem for each name that nobody knows, by its place: the name itself is not repeated."""
        return [
            form_problem(
                self.spec,
                self.message,
                path,
                f"name {number} of the object is unknown",
                nearest(name, known) or "only names of the layout",
            )
            for number, name in enumerate(given, 1)
            if name not in known
        ]

    def _problem(self, section: str, name: str, fault: FieldFault) -> FieldProblem:
        return self.fields[section][name].problem(fault, self.spec, self.message)

    # -- bytes that values do not carry

    def written_residue(self, residue: dict[int, bytes]) -> dict[str, dict[str, str]]:
        """Each group that is not empty, by offset."""
        groups: dict[str, dict[str, str]] = {}
        for offset, kept in sorted(residue.items()):
            places = self._codec.field_at(offset)
            planned = next((planned for planned in places if planned.length == len(kept)), None)
            if planned is None:  # decoding never makes such; encoding says what is wrong
                raise FieldError(
                    [
                        form_problem(
                            self.spec, self.message, "residue", "bytes to keep that belong to no field", "an offset of the layout", offset
                        )
                    ]
                )
            # A text says nothing of its blanks, so it needs a length that is sure.
            sure = all(other.length == planned.length for other in places)
            text = _kept_text(kept, self._encoding_of(planned)) if sure else _HEX + kept.hex()
            groups.setdefault(_group_of(planned), {})[str(offset)] = text
        return groups

    def _read_residue(self, group: str, given: Any, problems: list[FieldProblem]) -> dict[int, bytes]:
        if type(given) is not dict:
            problems.append(form_problem(self.spec, self.message, f"/{group}", f"value is {json_type(given)}", "an object"))
            return {}
        residue = {}
        for number, (offset, text) in enumerate(given.items(), 1):
            fits = [planned for planned in self._planned_at(offset) if _group_of(planned) == group]
            kept = next(
                (kept for planned in fits if (kept := _kept_bytes(text, planned.length, self._encoding_of(planned))) is not None), None
            )
            if kept is None:
                expected = "the offset of a field, and its bytes as text or as hex behind `hex:`"
                problems.append(form_problem(self.spec, self.message, f"/{group}", f"entry {number} does not fit the layout", expected))
            else:
                residue[int(offset)] = kept
        return residue

    def _encoding_of(self, planned: PlannedField) -> str:
        return getattr(planned.kind, "encoding", None) or self._encoding

    def _planned_at(self, offset: str) -> list[PlannedField]:
        return self._codec.field_at(int(offset)) if offset.isascii() and offset.isdecimal() and len(offset) < 10 else []


def form_of(message: MessageLayout) -> MessageForm:
    """The form of a message, made when it is first asked for."""
    form = _forms.get(message)
    if form is None:
        form = _forms[message] = MessageForm(message)
    return form


_forms: WeakKeyDictionary[MessageLayout, MessageForm] = WeakKeyDictionary()  # a reload drops the specs before it


# --- kept bytes -------------------------------------------------------------------------------------------------


def _group_of(planned: PlannedField) -> str:
    return "$filler" if isinstance(planned.kind, Filler) else "$as_sent"


def _kept_text(kept: bytes, encoding: str) -> str:
    """Text where it gives the bytes again, hex where it would not. Blanks at the end are left out."""
    shown = kept.rstrip(blank_of(encoding))
    try:
        text = shown.decode(encoding)
        same = text.encode(encoding) == shown
    except UnicodeError:
        return _HEX + kept.hex()
    return text if same and text.isprintable() and not text.startswith(_HEX) else _HEX + kept.hex()


def _kept_bytes(text: Any, length: int, encoding: str) -> bytes | None:
    """The bytes of one field; None when the text does not give so many."""
    if type(text) is not str:
        return None
    try:
        kept = bytes.fromhex(text.removeprefix(_HEX)) if text.startswith(_HEX) else text.encode(encoding).ljust(length, blank_of(encoding))
    except ValueError:
        return None
    return kept if len(kept) == length else None
