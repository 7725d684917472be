"""A spec as one Markdown document: what a bank would send its partners as the telegram design (전문설계서)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from telegram_router.telegrams.exporters.bytemap import byte_map, hex_lines, marked_bytes, marks, ruler, shown_bytes
from telegram_router.telegrams.exporters.facts import facts, key_text, plain, requests_of
from telegram_router.telegrams.exporters.mermaid import sequence_diagram
from telegram_router.telegrams.exporters.samples import Sample, sample_of
from telegram_router.telegrams.exporters.walk import Line, lines, size_text

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

FIELD_HEADINGS: Final = ("offset", "bytes", "length", "rule", "field", "label", "codes", "required", "log", "map")
_SAMPLE_HEADINGS: Final = ("offset", "length", "field", "label", "value", "meaning", "hex")


def spec_document(spec: Spec, samples: Mapping[str, bytes]) -> str:
    """The whole spec. `samples` are frames by message."""
    messages = list(spec.messages.values())
    parts = [
        f"# {plain(spec.title or spec.name)}",
        _about(spec),
        "## Contents",
        "\n".join(_contents(messages)),
        "## What all messages have in common",
        table(("", ""), ((fact.name, plain(fact.text)) for fact in facts(spec))),
        "## Messages",
        table(("message", "title", *spec.family.key, "bytes", "answered by", "kind"), map(_message_row, messages)),
        "## Flow",
        fenced(sequence_diagram(spec), "mermaid"),
    ]
    if spec.header_size:
        parts += ["## Header 공통부", _HEADER_WORDS, _offsets(_section(messages[0], "header"), keys=False)]
    for message in messages:
        parts += _message(message, samples, 2, whole=False)
    return "\n\n".join(parts) + "\n"


def message_document(message: MessageLayout, samples: Mapping[str, bytes]) -> str:
    """One message with its header."""
    return "\n\n".join(_message(message, samples, 1, whole=True)) + "\n"


_HEADER_WORDS: Final = (
    "The first bytes of every telegram. Offsets count from 0 and from the telegram's first byte, bytes from 1; framing is not counted."
)


def _about(spec: Spec) -> str:
    version = f", version {spec.version}" if spec.version else ""
    return f"Spec `{spec.name}`{version}. Written by telegram-router from the spec: change the spec rather than this page."


def _contents(messages: Iterable[MessageLayout]) -> Iterator[str]:
    for message in messages:
        yield f"- [{message.name}](#{anchor(message.name)}) {plain(message.title)}".rstrip()


def anchor(heading: str) -> str:
    """The fragment that renderers give a heading: small letters, blanks as hyphens, punctuation dropped."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _message_row(message: MessageLayout) -> list[str]:
    kind = f"{message.kind}, synthetic" if message.synthetic else message.kind
    linked = f"[{message.name}](#{anchor(message.name)})"
    return [
        linked,
        plain(message.title),
        *(f"`{value}`" if value else "" for value in message.key),
        size_text(message),
        _answer(message),
        kind,
    ]


def _answer(message: MessageLayout) -> str:
    reply = message.reply
    if reply.message is None:
        return ""
    linked = f"[{reply.message.name}](#{anchor(reply.message.name)})"
    return f"{linked}, in parts" if reply.kind == "until" else linked


# --- one message --------------------------------------------------------------------------------------------------


def _message(message: MessageLayout, samples: Mapping[str, bytes], level: int, *, whole: bool) -> Iterator[str]:
    heading = "#" * level
    yield f"{heading} {message.name}"
    yield _message_words(message)
    every = list(lines(message))
    marked = marks(every)
    for section, title in (("header", "Header 공통부"), ("body", "Body 개별부")):
        shown = [line for line in every if line.section == section]
        if shown and (whole or section == "body"):
            yield f"{heading}# {title}"
            yield _offsets(shown, marked)
    sample = sample_of(message, samples)
    bytes_of = marked_bytes(message, sample.telegram, marked)
    yield f"{heading}# Byte map"
    yield "Of the sample below. Letters are those of the column `map`; a dot is a reserved byte."
    yield fenced("\n".join(byte_map(bytes_of)))
    yield from _sample(message, sample, bytes_of, heading)


def _message_words(message: MessageLayout) -> str:
    told = [
        f"**{plain(message.title)}**" if message.title else "",
        f"{size_text(message)} bytes",
        key_text(message) and f"key {key_text(message)}",
    ]
    words = [", ".join(filter(None, told)) + "."]
    if message.reply.message:
        words.append(f"Answered by {_answer(message)}.")
    if asked := requests_of(message):
        words.append("Answers " + ", ".join(f"[{each.name}](#{anchor(each.name)})" for each in asked) + ".")
    if message.kind != "reply" and message.reply.message is None:
        words.append("Not answered.")
    if message.synthetic:
        words.append("Synthetic: not from a published layout.")
    return " ".join(words)


def _section(message: MessageLayout, section: str) -> list[Line]:
    return [line for line in lines(message) if line.section == section]


def _offsets(shown: Sequence[Line], marked: Mapping[str, str] | None = None, *, keys: bool = True) -> str:
    known = marked if marked is not None else marks(shown)
    return table(FIELD_HEADINGS, (_field_row(line, known.get(line.path, "") if line.field else "", keys) for line in shown))


def _field_row(line: Line, mark: str, keys: bool) -> list[str]:
    name = "&emsp;" * line.depth + (f"`{line.name}`" if line.name else "")
    return [
        line.start,
        line.position,
        line.size,
        _rule(line),
        name,
        plain(line.label),
        f"`{line.key}`" if keys and line.key else _codes(line),
        "yes" if line.required or (line.key is not None) else "",
        line.log,
        f"`{mark}`" if mark else "",
    ]


def _rule(line: Line) -> str:
    """A field's rule as code, the words of a group, table or choice of views as they are."""
    return f"`{line.rule}`" if line.field is not None and line.rule else plain(line.rule)


def _codes(line: Line) -> str:
    return "<br>".join(f"`{code}` {plain(meaning)}".rstrip() for code, meaning in line.codes.items())


def _sample(message: MessageLayout, sample: Sample, bytes_of: str, heading: str) -> Iterator[str]:
    shown = shown_bytes(message, sample.telegram)
    yield f"{heading}# Sample"
    made = "Made up from the spec: all data in it is invented." if sample.made_up else "The spec's own sample."
    around = len(sample.frame) - len(sample.telegram)
    yield made + (f" On the wire it has {around} bytes of framing more." if around else "")
    yield fenced("\n".join(ruler(bytes_of, shown)))
    rows = (
        (str(r.offset), str(r.length), f"`{r.path}`", plain(r.label), _code(r.shown), plain(r.meaning), f"`{_short(r.hex)}`")
        for r in sample.rows
    )
    yield table(_SAMPLE_HEADINGS, rows)
    yield fenced("\n".join(hex_lines(sample.telegram, shown)))


def _short(digits: str) -> str:
    return digits if len(digits) <= 40 else f"{digits[:38]}…"


# --- Markdown -----------------------------------------------------------------------------------------------------


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar inside a cell would end it."""
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in (headings, ["---"] * len(headings), *rows)
    )


def fenced(text: str, language: str = "") -> str:
    """A block of code, fenced by more backticks than it holds in a row."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _code(text: str) -> str:
    """A value as code, blank when there is none."""
    if not text:
        return ""
    return f"`` {text} ``" if "`" in text else f"`{text}`"
