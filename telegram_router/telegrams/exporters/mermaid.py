"""Mermaid diagrams of a spec: the bytes of each message, and which message answers which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from telegram_router.telegrams.exporters.facts import exchanges, literal, plain
from telegram_router.telegrams.exporters.walk import table_words, views_words
from telegram_router.telegrams.layout import Node, PlannedField, PlannedGroup, PlannedTable, PlannedViews

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec


def packet_diagram(message: MessageLayout) -> str:
    """The bytes of a message, 32 to a row. Mermaid counts bits; here each is a byte."""
    title = " ".join(filter(None, (message.spec.name, message.name, message.title)))
    return "\n".join(["---", f"title: {_quoted(title)}", "---", "packet-beta", *_blocks(message)])


def _blocks(message: MessageLayout) -> Iterator[str]:
    for node, words in _placed(message.tree):
        last = node.offset + max(node.length, 1) - 1
        yield f"{node.offset}-{last}: {_quoted(words)}" if last > node.offset else f"{node.offset}: {_quoted(words)}"


def _placed(nodes: Iterable[Node]) -> Iterator[tuple[Node, str]]:
    """What fills the bytes of a message one behind the other: a table as a whole, as are bytes with several views."""
    for node in nodes:
        if isinstance(node, PlannedGroup):
            yield from _placed(node.members)
        elif isinstance(node, PlannedTable):
            yield node, f"{node.label or node.name}: {table_words(node)}"
        elif isinstance(node, PlannedViews):
            yield node, views_words(node)
        else:
            yield node, _words(node)


def _words(planned: PlannedField) -> str:
    words = planned.label or planned.name or planned.rule
    return f"{words} = {planned.key}" if planned.key else f"{words}, the rest" if planned.is_opaque else words


def document(spec: Spec) -> str:
    """All diagrams of a spec in one Markdown page: Mermaid's own files hold one diagram each."""
    parts = [f"# {plain(spec.title or spec.name)}", "## Flow", f"```mermaid\n{sequence_diagram(spec)}\n```"]
    for message in spec.messages.values():
        parts += [f"## {plain(message.name)}", plain(message.title), f"```mermaid\n{packet_diagram(message)}\n```"]
    return "\n\n".join(filter(None, parts)) + "\n"


def sequence_diagram(spec: Spec) -> str:
    """Every message that is not itself an answer, and its answer."""
    made = ["sequenceDiagram", "    participant A as asker", "    participant B as answerer"]
    for poll in spec.framing.polls:
        made.append(f"    A->>B: {_text(f'poll {literal(poll.request)}')}")
        if poll.answer is not None:
            made.append(f"    B-->>A: {_text(literal(poll.answer))}")
    for exchange in exchanges(spec):
        made.append(f"    A->>B: {_text(_named(exchange.request))}")
        if exchange.reply is None:
            made.append("    Note over A,B: not answered")
        elif exchange.in_parts:
            made += ["    loop until the last part", f"        B-->>A: {_text(_named(exchange.reply))}", "    end"]
        else:
            made.append(f"    B-->>A: {_text(_named(exchange.reply))}")
    return "\n".join(made)


def _named(message: MessageLayout) -> str:
    return " ".join(filter(None, (message.name, message.title)))


def _quoted(text: str) -> str:
    """In double quotes, which must not stand inside, nor what would be an escape."""
    return '"' + text.translate(_IN_QUOTES) + '"'


def _text(text: str) -> str:
    """The text of a line: a semicolon would end it, a number sign begins an entity."""
    return text.translate(_IN_LINE)


_IN_QUOTES: Final = str.maketrans({'"': "'", "\\": "/", "\n": " "})
_IN_LINE: Final = str.maketrans({"#": "#35;", ";": "#59;", "<": "#lt;", ">": "#gt;", "\n": " "})
