"""A Wireshark dissector of a spec, as one Lua file."""

# The file is tables that are written here, behind them the code of lua_runtime.py that reads them. What the code has to know of
# each kind is in lua_kinds.py.

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from telegram_router.telegrams.exporters.lua_kinds import encodings_of, facts_of
from telegram_router.telegrams.exporters.lua_pages import code_page
from telegram_router.telegrams.exporters.lua_runtime import RUNTIME
from telegram_router.telegrams.exporters.lua_values import lua
from telegram_router.telegrams.fields.encodings import UTF16
from telegram_router.telegrams.framing import DEFAULT_MAX_FRAME, FixedSize, Framing, LengthField
from telegram_router.telegrams.layout import Node, PlannedField, PlannedGroup, PlannedTable, PlannedViews, Reference

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
        title = " ".join((spec.title or spec.name).split())
        head = _HEAD.format(title=title, name=spec.name, version=spec.version, proto=self.proto, column=self.proto.upper())
        fields = [f"  {lua(list(field))}," for field in self._fields]
        pages = [f"  [{lua(name)}] = {page}," for name, page in self._pages.items()]
        return "\n".join([head, "local PAGES = {", *pages, "}", "", "local FIELDS = {", *fields, "}", "", *tables, RUNTIME.lstrip("\n")])

    def _tables(self) -> list[str]:
        spec = self.spec
        some = next(iter(spec.messages.values()))
        header = self._nodes(node for node in some.tree if node.section == "header")
        bodies: dict[str, str] = {}
        messages = []
        for message in spec.messages.values():
            body = self._nodes(node for node in message.tree if node.section == "body")
            name = bodies.setdefault(body, f"BODIES[{len(bodies) + 1}]")
            facts = f"name = {lua(message.name)}, title = {lua(message.title)}"
            messages.append(f"  [{lua(self._key(message))}] = {{ {facts}, body = {name} }},")
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
            f"  proto = {lua(self.proto)}, title = {lua(f'{spec.title or spec.name} ({spec.name})')}, column = {lua(spec.name.upper())},",
            f"  words = {lua(_WORDS)},",
            f"  framing = {lua(_framing(spec))},",
            f"  key = {lua([list(spec.header_fields[name]) for name in spec.family.key])},",
            f"  polls = {lua(_polls(spec.framing))},",
            f"  header = {header},",
            "}",
        ]

    def _key(self, message: MessageLayout) -> str:
        """The key's bytes as hex."""
        keyed = {f.name: f for f in message.fields if f.key is not None}
        return b"".join(keyed[name].kind.write(keyed[name].key) for name in self.spec.family.key).hex()

    # -- nodes

    def _nodes(self, nodes: Iterable[Node]) -> str:
        return "\n".join(["{", *(f"    {lua(self._node(node))}," for node in nodes), "  }"])

    def _node(self, node: Node) -> dict[str, Any]:
        if isinstance(node, PlannedField):
            return self._field(node)
        if isinstance(node, PlannedGroup):
            return {"s": "group", "p": node.path, "l": _label(node), "nodes": [self._node(member) for member in node.members]}
        return self._table(node) if isinstance(node, PlannedTable) else self._views(node)

    def _table(self, table: PlannedTable) -> dict[str, Any]:
        counter = {} if table.counter is None else {"counter": table.counter.path}
        facts = {"s": "table", "p": table.path, "l": _label(table), "stride": table.stride, "least": table.least, "most": table.most}
        return facts | counter | {"shift": table.storage == "shift", "item": self._node(table.item)}

    def _views(self, views: PlannedViews) -> dict[str, Any]:
        facts: dict[str, Any] = {"s": "views", "p": views.path, "w": views.length, "dated": views.kind == "date"}
        if views.chooser is not None:
            facts |= self._chooser(views, views.chooser)
        else:
            facts["default"] = views.views[0][0]
        shown = {}
        for (name, view), rest in zip(views.views, views.rests, strict=True):
            shown[name] = {"node": self._node(view)} | ({"rest": self._node(rest)} if rest else {})
        return facts | {"views": shown}

    def _chooser(self, views: PlannedViews, chooser: Reference) -> dict[str, Any]:
        facts: dict[str, Any] = {"by": chooser.path, "when": {str(value): view for value, view in views.when.items()}}
        if chooser.ahead:
            facts |= {"ahead": chooser.field.offset - views.offset, "chooser": self._node(chooser.field)}
        return facts | ({"default": views.default} if views.default else {})

    def _field(self, planned: PlannedField) -> dict[str, Any]:
        label = _label(planned)
        node: dict[str, Any] = {"p": planned.path, "l": label, "w": None if planned.is_opaque else planned.length}
        facts, form = facts_of(planned)
        for encoding in encodings_of(planned):
            self._have_page(encoding)
        node |= facts
        if (planned.name and form) or planned.path.endswith("[0]"):
            abbreviation = f"{self.proto}.{_filter_name(planned.path.replace('[0]', ''))}"
            node |= {"f": self._number(abbreviation, label, form), "ft": form}
        return {name: value for name, value in node.items() if value is not None and value is not False}

    def _number(self, abbreviation: str, label: str, form: str) -> int:
        """Number of a field of Wireshark's. One name has one type: another type gets a name of its own."""
        clashes = any(known[0] == abbreviation and known[2] != form for known in self._fields)
        key = (f"{abbreviation}.{form}" if clashes else abbreviation, label, form)
        return self._fields.setdefault(key, len(self._fields) + 1)

    def _have_page(self, encoding: str) -> None:
        if encoding not in ("ascii", "utf-8", *UTF16) and encoding not in self._pages:
            self._pages[encoding] = lua(code_page(encoding))


def _label(node: Node) -> str:
    return node.label or node.name or node.path


def _filter_name(name: str) -> str:
    """Wireshark's filters are of letters, digits, dots and low lines; names in Korean keep their numbers."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else f"_{ord(c):x}" for c in name)


def _framing(spec: Spec) -> dict[str, Any]:
    framing, shape = spec.framing, spec.framing.length
    largest = max((message.frame_size or 0 for message in spec.messages.values()), default=0)
    most = max(DEFAULT_MAX_FRAME, largest) if framing.max is None else framing.max
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
