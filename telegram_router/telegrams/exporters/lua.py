"""A Wireshark dissector of a spec, as one Lua file."""

# The file is tables that are written here, behind them the code of lua_runtime.py that reads them.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from telegram_router.telegrams.exporters.lua_runtime import RUNTIME
from telegram_router.telegrams.fields import Amount, Code, Date, Digits, Filler, Fixed, Length, Text, Time
from telegram_router.telegrams.framing import DEFAULT_MAX_FRAME, FixedSize, Framing, LengthField
from telegram_router.telegrams.layout import PlannedField

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

_HEAD: Final = """\
-- {title}: Wireshark dissector of the telegrams of {name} {version}
--
-- Written by telegram-router from the spec; change the spec and write it again rather than this file.
--
-- Everything that is on the wire is shown, account numbers and names included: masking is a matter of the router's own
-- logs. Whoever may look at a capture sees what it holds.
--
-- Use:  tshark -X lua_script:{name}.lua -d tcp.port==9001,{proto} -r capture.pcap
-- or put this file into Wireshark's folder of personal Lua plugins, and set the ports in Preferences, Protocols, {column}.
"""

_WORDS: Final = {"header": "공통부 header", "body": "개별부 body", "framing": "framing"}
_WIDEST_INT64: Final = 18  # digits


def dissector(spec: Spec) -> str:
    """The whole Lua file."""
    return _Dissector(spec).text()


class _Dissector:
    """Collects the fields and code pages that the tables name while these are written."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.proto = f"telegram.{_filter_name(spec.name)}"
        self._fields: dict[tuple[str, str, str], int] = {}
        self._pages: dict[str, str] = {}

    def text(self) -> str:
        spec = self.spec
        tables = self._tables()
        head = _HEAD.format(
            title=spec.title or spec.name, name=spec.name, version=spec.version, proto=self.proto, column=self.proto.upper()
        )
        fields = [f"  {_lua(list(field))}," for field in self._fields]
        pages = [f"  [{_lua(name)}] = {page}," for name, page in self._pages.items()]
        return "\n".join([head, "local PAGES = {", *pages, "}", "", "local FIELDS = {", *fields, "}", "", *tables, RUNTIME.lstrip("\n")])

    def _tables(self) -> list[str]:
        spec = self.spec
        some = next(iter(spec.messages.values()))
        header = self._nodes(f for f in some.fields if f.section == "header")
        bodies: dict[str, str] = {}
        messages = []
        for message in spec.messages.values():
            body = self._nodes(f for f in message.fields if f.section == "body")
            name = bodies.setdefault(body, f"BODIES[{len(bodies) + 1}]")
            facts = f"name = {_lua(message.name)}, title = {_lua(message.title)}"
            messages.append(f"  [{_lua(self._key(message))}] = {{ {facts}, body = {name} }},")
        return [
            "local BODIES = {",
            *(f"{body}," for body in bodies),
            "}",
            "",
            "local MESSAGES = {  -- by the bytes of the key",
            *messages,
            "}",
            "",
            "local SPEC = {",
            f"  proto = {_lua(self.proto)}, title = {_lua(f'{spec.title or spec.name} ({spec.name})')}, column = {_lua(spec.name.upper())},",
            f"  words = {_lua(_WORDS)},",
            f"  framing = {_lua(_framing(spec.framing))},",
            f"  key = {_lua([list(spec.header_fields[name]) for name in spec.family.key])},",
            f"  polls = {_lua(_polls(spec.framing))},",
            f"  header = {header},",
            "}",
        ]

    def _key(self, message: MessageLayout) -> str:
        """The key's bytes as hex."""
        keyed = {f.name: f for f in message.fields if f.key is not None}
        return b"".join(keyed[name].kind.write(keyed[name].key) for name in self.spec.family.key).hex()

    def _nodes(self, fields: Iterable[PlannedField]) -> str:
        return "\n".join(["{", *(f"    {_lua(self._node(planned))}," for planned in fields), "  }"])

    def _node(self, planned: PlannedField) -> dict[str, Any]:
        label = planned.label or planned.name or planned.path
        node: dict[str, Any] = {"p": planned.path, "l": label, "w": None if planned.is_opaque else planned.length}
        facts, form = self._facts(planned)
        node |= facts
        if planned.name:
            abbreviation = f"{self.proto}.{_filter_name(planned.path)}"
            node |= {"f": self._field(abbreviation, label, form), "ft": form}
        return {name: value for name, value in node.items() if value is not None and value is not False}

    def _field(self, abbreviation: str, label: str, form: str) -> int:
        """Number of a field of Wireshark's. One name has one type: another type gets a name of its own."""
        clashes = any(known[0] == abbreviation and known[2] != form for known in self._fields)
        key = (f"{abbreviation}.{form}" if clashes else abbreviation, label, form)
        return self._fields.setdefault(key, len(self._fields) + 1)

    def _facts(self, planned: PlannedField) -> tuple[dict[str, Any], str]:
        """What the Lua code has to know of a field, and the type that its value has in Wireshark."""
        kind = planned.kind
        if isinstance(kind, Filler):
            return {"t": "filler"}, ""
        if isinstance(kind, Length):
            return {"t": "length", "adjust": kind.adjust}, "int64"
        if isinstance(kind, Amount):
            return {"t": "amount", "scale": kind.scale, "trailing": kind.sign == "trailing", "filled": kind.blank == "error"}, _number_form(
                kind.digits, kind.scale
            )
        if isinstance(kind, Digits):
            return {"t": "digits", "scale": kind.scale, "filled": kind.blank == "error"}, _number_form(kind.digits, kind.scale)
        if isinstance(kind, Date | Time):
            return {"t": "moment", "form": kind.form, "filled": kind.blank == "error", "zeros": kind.blank == "zeros"}, "string"
        if isinstance(kind, Code):
            return self._code(planned, kind), "string"
        if isinstance(kind, Fixed):
            return {"t": "constant", "value": kind.constant, "or_blank": kind.or_blank}, "string"
        if isinstance(kind, Text):
            return self._text(kind), "string"
        return {"t": "bytes"}, "bytes"

    def _code(self, planned: PlannedField, kind: Code) -> dict[str, Any]:
        """A key field stands for all messages here, so it may hold any of their keys."""
        if planned.key is not None:
            return {"t": "code"}
        facts: dict[str, Any] = {"t": "code", "required": kind.required, "digits": kind.digits}
        if kind.values is None:
            return facts
        given = kind.values if isinstance(kind.values, Mapping) else dict.fromkeys(kind.values, "")
        singles = {code: name for code, name in given.items() if isinstance(code, str)}
        ranges = [[*code, name] for code, name in given.items() if isinstance(code, tuple)]
        return facts | {"names": singles, "ranges": ranges}

    def _text(self, kind: Text) -> dict[str, Any]:
        encoding = kind.encoding or "ascii"
        self._have_page(encoding)
        pad = None if kind.pad in (b" ", b"\x40") else _pattern(kind.pad)
        return {"t": "text", "enc": encoding, "right": kind.align == "right", "required": kind.required, "pad": pad}

    def _have_page(self, encoding: str) -> None:
        if encoding not in ("ascii", "utf-8") and encoding not in self._pages:
            self._pages[encoding] = _lua(code_page(encoding))


def _filter_name(name: str) -> str:
    """Wireshark's filters are of letters, digits, dots and low lines; names in Korean keep their numbers."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else f"_{ord(c):x}" for c in name)


def _number_form(digits: int, scale: int) -> str:
    if scale > 0:
        return "double"
    return "int64" if digits - scale <= _WIDEST_INT64 else "string"


def _framing(framing: Framing) -> dict[str, Any]:
    shape = framing.length
    most = DEFAULT_MAX_FRAME if framing.max is None else framing.max
    common = {"prefix": framing.prefix, "suffix": framing.suffix, "most": most, "text": framing.describe()}
    if isinstance(shape, LengthField):
        return common | {
            "kind": "length",
            "offset": shape.offset,
            "width": shape.width,
            "number": shape.kind,
            "uncounted": shape.uncounted,
            "head": shape.head,
            "least": shape.smallest,
            "before": shape.before,
            "after": shape.after,
            "finish": shape.end,
        }
    if isinstance(shape, FixedSize):
        return common | {"kind": "fixed", "size": shape.size}
    return common | {"kind": "marked", "start": shape.start, "finish": shape.end}


def _polls(framing: Framing) -> list[dict[str, Any]]:
    return [
        {"literal": literal, "echo": poll.echo, "name": name}
        for poll in framing.polls
        for literal, name in ((poll.request, "poll"), (poll.answer, "answer to a poll"))
        if literal is not None
    ]


# --- code pages -------------------------------------------------------------------------------------------------


def code_page(encoding: str) -> dict[str, Any]:
    """Characters of an encoding for Lua: of single bytes, and of two bytes by the first. Wireshark has no cp949, nor most EBCDIC pages."""
    single = "".join(_character(encoding, bytes([byte])) for byte in range(256))
    shifts = bool(_shifted(encoding))
    rows = {lead: _row(encoding, lead, shifts) for lead in range(0x40 if shifts else 0x80, 0xFF)}
    return {"single": single, "first": _FIRST_TRAIL, "shifts": shifts, "rows": {lead: row for lead, row in rows.items() if row}}


_FIRST_TRAIL: Final = 0x40
_NONE: Final = "\ufffd"


def _character(encoding: str, raw: bytes) -> str:
    try:
        text = raw.decode(encoding)
    except UnicodeError:
        return _NONE
    return text if len(text) == 1 else _NONE


def _shifted(encoding: str) -> bool:
    """Whether two-byte characters stand between shift-out and shift-in."""
    return _character(encoding, b"\x0e\x40\x40\x0f") != _NONE


def _row(encoding: str, lead: int, shifts: bool) -> str:
    frame = b"\x0e%c%c\x0f" if shifts else b"%c%c"
    row = "".join(_character(encoding, frame % (lead, trail)) for trail in range(_FIRST_TRAIL, 0xFF))
    return row.rstrip(_NONE)


# --- Lua --------------------------------------------------------------------------------------------------------


def _lua(value: Any) -> str:
    """A value as Lua source."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(_escaped(c) for c in value) + '"'
    if isinstance(value, bytes):
        return '"' + "".join(_escaped(chr(c)) if 0x20 <= c < 0x7F else f"\\{c:03d}" for c in value) + '"'
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_name(key)} = {_lua(each)}" for key, each in value.items()) + " }"
    return "{ " + ", ".join(_lua(each) for each in value) + " }"


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return "".join(f"\\{byte:03d}" for byte in character.encode()) if not character.isprintable() else character


def _name(key: object) -> str:
    is_word = isinstance(key, str) and key.isascii() and key.isidentifier() and key not in _RESERVED
    return str(key) if is_word else f"[{_lua(key)}]"


_RESERVED: Final = frozenset(
    [
        "and",
        "break",
        "do",
        "else",
        "elseif",
        "end",
        "false",
        "for",
        "function",
        "goto",
        "if",
        "in",
        "local",
        "nil",
        "not",
        "or",
        "repeat",
        "return",
        "then",
        "true",
        "until",
        "while",
    ]
)


def _pattern(pad: bytes) -> str:
    """One character in Lua's patterns."""
    return "%z" if pad == b"\x00" else "%" + pad.decode("latin-1")
