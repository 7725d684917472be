"""`spec list` and `spec show`: what the specs say, as tables."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from telegram_router.cli import EXIT_CONFIG, tell
from telegram_router.cli.shown import on_terminal, say, say_json, table
from telegram_router.errors import ConfigError, ConfigProblem
from telegram_router.plan import known_specs, read_spec, spec_folders
from telegram_router.telegrams import MessageLayout, PlannedField, Spec
from telegram_router.telegrams.explain import printable
from telegram_router.telegrams.exporters.walk import Line, lines

FIELD_HEADINGS: Final = ("offset", "bytes", "length", "rule", "field", "label", "log", "values")
BYTES_FROM: Final = 100  # columns of a terminal that has room for what offset and length say already


def list_specs(folders: Iterable[Path], as_json: bool) -> int:
    """Every spec that can be found by name. Returns the exit code; a spec that does not load does not hide the others."""
    rows, problems = [], list[ConfigProblem]()
    for name, path in sorted(known_specs([*folders, *spec_folders(None, Path())]).items()):
        try:
            spec = read_spec(path)
        except ConfigError as error:
            problems += error.problems
            continue
        rows.append(
            {
                "name": name,
                "title": spec.title,
                "version": spec.version,
                "messages": str(len(spec.messages)),
                "framing": spec.framing.describe(),
                "file": str(path),
            }
        )
    if as_json:
        say_json([row | {"messages": int(row["messages"])} for row in rows])
    elif rows:
        table([*rows[0]], [[*row.values()] for row in rows])
    tell(problem.text() for problem in problems)
    return EXIT_CONFIG if problems else 0


# --- a spec -----------------------------------------------------------------------------------------------------


def show_spec(spec: Spec, as_json: bool) -> int:
    """A spec: what is common to its messages, and their list."""
    if as_json:
        say_json(_spec_object(spec))
        return 0
    say(f"{' '.join(filter(None, (spec.name, spec.version)))}: {printable(spec.title)}", bold=True)
    for name, value in _facts(spec).items():
        say(f"  {name:<12} {value}")
    say()
    headings = ("message", "title", *spec.family.key, "bytes", "answered by", "kind")
    table(headings, [_message_row(message) for message in spec.messages.values()])
    if not on_terminal():
        say()
    say(f"The fields of a message: telegram-router spec show {spec.name} {next(iter(spec.messages), '')}")
    return 0


def _facts(spec: Spec) -> dict[str, str]:
    family = spec.family
    facts = {
        "framing": spec.framing.describe(),
        "encoding": spec.encoding,
        "length": f"{spec.length} bytes" if spec.length else "differs by message",
        "header": f"{spec.header_size} bytes",
        "key": ", ".join(family.key),
        "correlation": ", ".join(family.correlation),
        "carrier": family.carrier or "",
        "owner": family.owner or "",
        "polls": ", ".join(f"{_literal(poll.request)} -> {_literal(poll.answer)}" for poll in spec.framing.polls),
    }
    if family.errors is not None:
        own = ", ".join(f"{code} {response}" for code, response in family.errors.codes.items())
        facts["errors"] = f"{family.errors.field}: not_sent {family.errors.not_sent}, sent_unknown {family.errors.sent_unknown}"
        facts["own codes"] = own
    return {name: value for name, value in facts.items() if value}


def _literal(literal: bytes | None) -> str:
    return "no answer" if literal is None else literal.decode("ascii") if literal.isascii() else literal.hex()


def _message_row(message: MessageLayout) -> list[str]:
    kind = f"{message.kind}, synthetic" if message.synthetic else message.kind
    return [message.name, message.title, *message.key, _size(message), _answer(message), kind]


def _size(message: MessageLayout) -> str:
    least, most = message.codec.sizes()
    return f"{least}" if least == most else f"from {least}" if most is None else f"{least} to {most}"


def _answer(message: MessageLayout) -> str:
    reply = message.reply
    if reply.message is None:
        return ""
    return f"{reply.message.name}, in parts" if reply.kind == "until" else reply.message.name


def _spec_object(spec: Spec) -> dict[str, Any]:
    family = spec.family
    return {
        "name": spec.name,
        "title": spec.title,
        "version": spec.version,
        "encoding": spec.encoding,
        "length": spec.length,
        "header_length": spec.header_size,
        "framing": {"text": spec.framing.describe(), "prefix": spec.framing.prefix, "suffix": spec.framing.suffix},
        "polls": [_literal(poll.request) for poll in spec.framing.polls],
        "key": list(family.key),
        "correlation": list(family.correlation),
        "carrier": family.carrier,
        "owner": family.owner,
        "errors": None
        if family.errors is None
        else {
            "field": family.errors.field,
            "not_sent": family.errors.not_sent,
            "sent_unknown": family.errors.sent_unknown,
            "codes": dict(family.errors.codes),
        },
        "messages": [_message_object(message) for message in spec.messages.values()],
    }


def _message_object(message: MessageLayout) -> dict[str, Any]:
    around = message.spec.framing.prefix + message.spec.framing.suffix
    return {
        "name": message.name,
        "title": message.title,
        "key": list(message.key),
        "kind": message.kind,
        "synthetic": message.synthetic,
        "min_length": message.min_frame - around,
        "max_length": message.max_frame - around,
        "reply": None if message.reply.message is None else {"kind": message.reply.kind, "message": message.reply.message.name},
    }


# --- a message --------------------------------------------------------------------------------------------------


def message_named(spec: Spec, name: str) -> MessageLayout:
    """A message of a spec by its name. Raises click.UsageError with the nearest one there is."""
    message = spec.messages.get(name)
    if message is not None:
        return message
    close = difflib.get_close_matches(name, list(spec.messages), 1)
    hint = f" Did you mean {close[0]}?" if close else f" There are: {', '.join(spec.messages)}."
    raise click.UsageError(f"{spec.name} has no such message.{hint}")


def show_message(spec: Spec, name: str, as_json: bool) -> int:
    """The offset table of a message."""
    message = message_named(spec, name)
    if as_json:
        say_json(
            _message_object(message) | {"spec": spec.name, "version": spec.version, "fields": [_field_object(f) for f in message.fields]}
        )
        return 0
    synthetic = ", synthetic" if message.synthetic else ""
    what = " ".join(filter(None, (spec.name, spec.version, message.name)))
    say(f"{what}: {printable(message.title)}, {_size(message)} bytes{synthetic}", bold=True)
    if _answer(message):
        say(f"answered by {_answer(message)}")
    say(f"offsets count from 0 and from the telegram's first byte, behind {spec.framing.prefix} bytes of framing")
    if not on_terminal():
        say()
    rows = [FIELD_HEADINGS, *map(_row, lines(message))]
    if on_terminal() and shutil.get_terminal_size().columns < BYTES_FROM:
        rows = [(*row[:1], *row[2:]) for row in rows]
    table(rows[0], rows[1:])
    return 0


def _row(line: Line) -> tuple[str, ...]:
    """A field, or the heading of a group, a table or a choice of views."""
    if line.field is not None:
        return _field_row(line.field)
    return (str(line.offset), line.position, line.size, "", line.path, line.label, "", line.rule)


def _field_row(planned: PlannedField) -> tuple[str, ...]:
    end = "" if planned.is_opaque else str(planned.end)
    return (
        str(planned.offset),
        f"{planned.offset + 1}-{end}" if planned.length != 1 else str(planned.offset + 1),
        "rest" if planned.is_opaque else str(planned.length),
        planned.rule,
        planned.path,
        planned.label,
        planned.log if planned.name else "",
        "; ".join(f"{code} {text}" if text else code for code, text in _values(planned).items()),
    )


def _values(planned: PlannedField) -> dict[str, str]:
    """The codes that the field may hold, and ranges of them as 10-19, with their meanings."""
    values = getattr(planned.kind, "values", None) or ()
    meanings = values if isinstance(values, Mapping) else planned.codes
    codes = {code if isinstance(code, str) else "-".join(code): meanings.get(code, "") for code in values}
    return codes or dict(planned.codes)


def _field_object(planned: PlannedField) -> dict[str, Any]:
    return {
        "path": planned.path,
        "label": planned.label,
        "offset": planned.offset,
        "length": None if planned.is_opaque else planned.length,
        "kind": type(planned.kind).__name__,
        "rule": planned.rule,
        "values": _values(planned),
        "log": planned.log,
        "json": planned.kind.json,
    }
