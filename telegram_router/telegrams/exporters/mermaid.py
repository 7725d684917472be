"""Mermaid diagrams of a spec: the bytes of each message, and which message answers which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from telegram_router.telegrams.exporters.facts import exchanges, literal
from telegram_router.telegrams.exporters.walk import Line, lines

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec


def packet_diagram(message: MessageLayout) -> str:
    """The bytes of a message, 32 to a row. Mermaid counts bits; here each is a byte."""
    title = " ".join(filter(None, (message.spec.name, message.name, message.title)))
    return "\n".join(["---", f"title: {_quoted(title)}", "---", "packet-beta", *_blocks(message)])


def _blocks(message: MessageLayout) -> Iterator[str]:
    for line in lines(message):
        if line.field is None or line.length == 0:
            continue
        last = line.offset + (line.length or 1) - 1
        place = f"{line.offset}-{last}" if last > line.offset else str(line.offset)
        yield f"{place}: {_quoted(_words(line))}"


def _words(line: Line) -> str:
    words = line.label or line.name or line.rule
    return f"{words} = {line.key}" if line.key else f"{words}, the rest" if line.length is None else words


def document(spec: Spec) -> str:
    """All diagrams of a spec in one Markdown page: Mermaid's own files hold one diagram each."""
    parts = [f"# {spec.title or spec.name}", "## Flow", f"```mermaid\n{sequence_diagram(spec)}\n```"]
    for message in spec.messages.values():
        parts += [f"## {message.name}", message.title, f"```mermaid\n{packet_diagram(message)}\n```"]
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
_IN_LINE: Final = str.maketrans({"#": "#35;", ";": "#59;", "\n": " "})
