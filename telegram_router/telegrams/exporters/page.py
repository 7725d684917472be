"""A spec as one HTML file that needs nothing else: for partners, printers and browsers without a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

from telegram_router.telegrams.exporters.bytemap import RESERVED, marks, shown_bytes
from telegram_router.telegrams.exporters.facts import exchanges, facts, literal, requests_of
from telegram_router.telegrams.exporters.page_style import SCRIPT, STYLE
from telegram_router.telegrams.exporters.samples import Sample, sample_of
from telegram_router.telegrams.exporters.walk import Line, lines, planned_path, size_text

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

_COLUMNS: Final = 32
_COLOURS: Final = 8
_HEX_SHOWN: Final = 48  # digits
_LONG: Final = 28  # characters of a name that may be folded
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def spec_page(spec: Spec, samples: Mapping[str, bytes]) -> str:
    """The whole spec. `samples` are frames by message."""
    messages = list(spec.messages.values())
    parts = [_facts(spec), _flow(spec)]
    if spec.header_size:
        header = [line for line in lines(messages[0]) if line.section == "header"]
        parts.append(_section("header", "Header 공통부", _PLACES + _offsets(header, marks(header), keys=False)))
    parts += [_message(message, samples, whole=False) for message in messages]
    return _document(spec, parts, messages)


def message_page(message: MessageLayout, samples: Mapping[str, bytes]) -> str:
    """One message with its header."""
    return _document(message.spec, [_message(message, samples, whole=True)], [message])


_PLACES: Final = (
    '<p class="about">The first bytes of every telegram. Offsets count from 0 and from the telegram\'s first byte, bytes from 1; '
    "framing is not counted.</p>"
)


def _document(spec: Spec, parts: Iterable[str], messages: Sequence[MessageLayout]) -> str:
    title = spec.title or spec.name
    version = f", version {escape(spec.version)}" if spec.version else ""
    about = f"Spec <code>{escape(spec.name)}</code>{version}. Written by telegram-router from the spec: change the spec, not this page."
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="ko"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
            _navigation(spec, messages),
            f'<main><h1>{escape(title)}</h1><p class="about">{about}</p>',
            *parts,
            f"</main><script>{SCRIPT}</script></body></html>",
            "",
        ]
    )


def _navigation(spec: Spec, messages: Sequence[MessageLayout]) -> str:
    common = "" if len(messages) == 1 else '<ol><li><a href="#common">Common</a></li><li><a href="#flow">Flow</a></li>'
    if common:
        common += ('<li><a href="#header">Header 공통부</a></li>' if spec.header_size else "") + "</ol>"
    found = "".join(
        f'<li data-search="{_anchor(m)}"><a href="#{_anchor(m)}">{escape(m.name)}<small>{escape(m.title)}</small></a></li>'
        for m in messages
    )
    box = '<input id="search" type="search" placeholder="Search messages and fields" aria-label="Search messages and fields">'
    return f"<nav><strong>{escape(spec.title or spec.name)}</strong>{box}{common}<ol>{found}</ol></nav>"


def _anchor(message: MessageLayout) -> str:
    return f"m-{escape(message.name)}"


def _section(anchor: str, heading: str, content: str) -> str:
    return f'<section id="{anchor}"><h2>{escape(heading)}</h2>{content}</section>'


def _facts(spec: Spec) -> str:
    rows = "".join(f"<dt>{escape(fact.name)}</dt><dd>{escape(fact.text)}</dd>" for fact in facts(spec))
    return _section("common", "What all messages have in common", f"<dl>{rows}</dl>{_messages(spec)}")


def _messages(spec: Spec) -> str:
    heads = ("message", "title", *spec.family.key, "bytes", "answered by", "kind")
    rows = (_message_row(message) for message in spec.messages.values())
    return f"<h3>Messages</h3>{_table(heads, rows)}"


def _message_row(message: MessageLayout) -> str:
    kind = f"{message.kind}, synthetic" if message.synthetic else message.kind
    keys = "".join(f"<td><code>{escape(value)}</code></td>" for value in message.key)
    size = f'<td class="n">{size_text(message)}</td>'
    return f'<tr><td class="k">{_link(message)}</td><td class="t">{escape(message.title)}</td>{keys}{size}<td class="k">{_answer(message)}</td><td>{kind}</td></tr>'


def _link(message: MessageLayout) -> str:
    return f'<a href="#{_anchor(message)}">{_foldable(message.name)}</a>'


def _foldable(name: str) -> str:
    """A name that may be folded behind its dots and low lines where it is long."""
    return escape(name) if len(name) <= _LONG else escape(name).replace("_", "_<wbr>").replace(".", ".<wbr>")


def _whole(content: str, name: str) -> str:
    """What stands on one line, unless its name is long."""
    return f'<span class="whole">{content}</span>' if len(name) <= _LONG else content


def _answer(message: MessageLayout) -> str:
    reply = message.reply
    return "" if reply.message is None else _link(reply.message) + (", in parts" if reply.kind == "until" else "")


def _flow(spec: Spec) -> str:
    rows = []
    for poll in spec.framing.polls:
        answer = "" if poll.answer is None else f"<code>{escape(literal(poll.answer))}</code>"
        rows.append(
            _flow_row(f"<code>{escape(literal(poll.request))}</code><small>poll, answered by the router itself</small>", answer, "")
        )
    for exchange in exchanges(spec):
        answer = "" if exchange.reply is None else f"{_link(exchange.reply)}<small>{escape(exchange.reply.title)}</small>"
        asked = f"{_link(exchange.request)}<small>{escape(exchange.request.title)}</small>"
        rows.append(_flow_row(asked, answer, "in parts" if exchange.in_parts else ""))
    return _section("flow", "Flow", f'<ul class="flow">{"".join(rows)}</ul>')


def _flow_row(asked: str, answered: str, words: str) -> str:
    arrow = f"⇄ {words}" if answered else "→"
    return (
        f'<li><span>{asked}</span><span class="arrow">{arrow.strip()}</span><span>{answered or "<small>not answered</small>"}</span></li>'
    )


# --- one message --------------------------------------------------------------------------------------------------


def _message(message: MessageLayout, samples: Mapping[str, bytes], *, whole: bool) -> str:
    every = list(lines(message))
    marked = marks(every)
    parts = [f"<p>{''.join(_chips(message))}</p>"]
    for section, title in (("header", "Header 공통부"), ("body", "Body 개별부")):
        shown = [line for line in every if line.section == section]
        if shown and (whole or section == "body"):
            parts.append(f"<h3>{title}</h3>{_offsets(shown, marked)}")
    sample = sample_of(message, samples)
    parts += [f"<h3>Sample, byte by byte</h3>{_map(message, sample, marked)}", f"<h3>Sample, field by field</h3>{_sample(sample, marked)}"]
    heading = f"<h2>{escape(message.name)} <small>{escape(message.title)}</small></h2>"
    return f'<section class="message" id="{_anchor(message)}" data-search="{_anchor(message)}">{heading}{"".join(parts)}</section>'


def _chips(message: MessageLayout) -> Iterator[str]:
    for name, value in zip(message.spec.family.key, message.key, strict=True):
        yield f'<span class="chip">{escape(name)} <code>{escape(value) or "blank"}</code></span>'
    yield f'<span class="chip">{size_text(message)} bytes</span><span class="chip">{message.kind}</span>'
    if message.reply.message:
        yield f'<span class="chip">answered by {_answer(message)}</span>'
    for request in requests_of(message):
        yield f'<span class="chip">answers {_link(request)}</span>'
    if message.synthetic:
        yield '<span class="chip">synthetic: not from a published layout</span>'


_FIELD_HEADINGS: Final = ("", "offset", "bytes", "length", "rule", "field", "label", "codes", "required", "log")


def _offsets(shown: Sequence[Line], marked: Mapping[str, str], *, keys: bool = True) -> str:
    return _table(_FIELD_HEADINGS, (_field_row(line, marked, keys) for line in shown))


def _field_row(line: Line, marked: Mapping[str, str], keys: bool) -> str:
    name = _whole('<span class="in"></span>' * line.depth + (f"<code>{_foldable(line.name)}</code>" if line.name else ""), line.name)
    places = f'<td class="n">{line.start}</td><td class="n">{line.position}</td><td class="n">{line.size}</td>'
    if line.field is None:
        words = " ".join(filter(None, (f"<b>{escape(line.label)}</b>" if line.label else "", escape(line.rule))))
        return f'<tr class="heading"><td></td>{places}<td></td><td class="k">{name}</td><td class="t" colspan="4">{words}</td></tr>'
    mark = marked.get(line.path, "")
    swatch = f'<span class="swatch {_colour(line.path, marked)}">{escape(mark)}</span>' if mark else ""
    cells = (
        f'<td>{swatch}</td>{places}<td class="rule"><code>{escape(line.rule)}</code></td>',
        f'<td class="k">{name}</td><td class="t">{escape(line.label)}</td><td>{_codes(line, keys)}</td>',
        f'<td>{"yes" if line.required or line.key is not None else ""}</td><td class="{line.log}">{line.log}</td>',
    )
    return f'<tr class="{"reserved" if mark == RESERVED else "field"}" data-f="{escape(line.path)}">{"".join(cells)}</tr>'


def _codes(line: Line, keys: bool) -> str:
    if keys and line.key is not None:
        return f"<code>{escape(line.key)}</code>"
    listed = "".join(f"<li><code>{escape(code)}</code> {escape(meaning)}</li>" for code, meaning in line.codes.items())
    return f"<ul>{listed}</ul>" if listed else ""


def _colour(path: str, marked: Mapping[str, str]) -> str:
    """Neighbours have different colours; reserved bytes have none."""
    if marked.get(path, RESERVED) == RESERVED:
        return "none"
    valued = [known for known, mark in marked.items() if mark != RESERVED]
    return f"c{valued.index(path) % _COLOURS}"


def _sample(sample: Sample, marked: Mapping[str, str]) -> str:
    rows = []
    for row in sample.rows:
        path = planned_path(row.path)
        digits = row.hex if len(row.hex) <= _HEX_SHOWN else f"{row.hex[: _HEX_SHOWN - 2]}…"
        value = f"<code>{escape(row.shown)}</code>" if row.shown else ""
        rows.append(
            f'<tr class="{"reserved" if _colour(path, marked) == "none" else "field"}" data-f="{escape(path)}"><td class="n">{row.offset}</td>'
            f'<td class="n">{row.length}</td><td class="k"><code>{_foldable(row.path)}</code></td><td class="t">{escape(row.label)}</td>'
            f'<td class="v">{value}</td><td class="m">{escape(row.meaning)}</td><td class="hex"><code>{digits}</code></td></tr>'
        )
    return _table(("offset", "length", "field", "label", "value", "meaning", "hex"), rows)


_NUMBERS: Final = frozenset({"offset", "bytes", "length"})


def _table(headings: Iterable[str], rows: Iterable[str]) -> str:
    heads = "".join(f'<th class="{"n" if heading in _NUMBERS else "t"}">{escape(heading)}</th>' for heading in headings)
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


# --- the byte map -------------------------------------------------------------------------------------------------


def _map(message: MessageLayout, sample: Sample, marked: Mapping[str, str]) -> str:
    shown = shown_bytes(message, sample.telegram)
    owner = _owners(message, sample.telegram)
    made = "Made up from the spec: all data is invented." if sample.made_up else "The spec's own sample."
    ruler = "".join(f'<b class="{"ten" if at % 10 == 0 else "one"}">{at if at % 10 == 0 else at % 10}</b>' for at in range(_COLUMNS))
    rows = [f'<div class="ruler"><span class="o"></span>{ruler}</div>']
    for start in range(0, len(sample.telegram), _COLUMNS):
        end = min(start + _COLUMNS, len(sample.telegram))
        rows.append(f'<div><span class="o">{start}</span>{"".join(_runs(start, end, shown, owner, marked))}</div>')
    return f'<p class="about">{made}</p><div class="map">{"".join(rows)}</div>'


def _owners(message: MessageLayout, telegram: bytes) -> list[tuple[str, str]]:
    """Path and label of the field that each byte belongs to."""
    owners = [("", "")] * len(telegram)
    for planned in message.fields_of(telegram):
        end = len(telegram) if planned.is_opaque else min(planned.end, len(telegram))
        owners[planned.offset : end] = [(planned.path, planned.label)] * (end - planned.offset)
    return owners


def _runs(start: int, end: int, shown: Sequence[str], owner: Sequence[tuple[str, str]], marked: Mapping[str, str]) -> Iterator[str]:
    """Neighbouring bytes of one field."""
    at = start
    while at < end:
        last = at
        while last < end and owner[last] == owner[at]:
            last += 1
        path, label = owner[at]
        title = escape(f"{path} {label}".strip())
        place = planned_path(path)
        yield f'<span class="r {_colour(place, marked)}" data-f="{escape(place)}" title="{title}">{"".join(_cells(shown[at:last]))}</span>'
        at = last


def _cells(shown: Sequence[str]) -> Iterator[str]:
    """One cell for each byte; a character of two bytes takes both where they are neighbours."""
    skip = False
    for at, text in enumerate(shown):
        if skip:
            skip = False
            continue
        skip = bool(text) and at + 1 < len(shown) and shown[at + 1] == ""
        yield f'<b class="w">{escape(text)}</b>' if skip else f"<b>{escape(text)}</b>"
