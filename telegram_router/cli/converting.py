"""`decode` and `encode`: telegrams to JSON lines and back, one at a time, whatever the size of the input."""

# Rules this file keeps:
#
# 1. What decode writes, encode turns into the same bytes, polls included.
# 2. A bad telegram or line costs itself only. Lost framing ends the reading: what follows cannot be told apart.

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import click
import msgspec

from telegram_router.cli import EXIT_FAILED, tell
from telegram_router.cli.inputs import MAX_FRAME, chunks, frames, opened, progress, record
from telegram_router.errors import FieldError, FramingError, RouterError
from telegram_router.telegrams import Spec, Telegram, from_object, masked_object, to_object
from telegram_router.telegrams.json_form import read_json

POLL: Final = "$poll"  # a poll has no fields: its telegram as hex
MASKED: Final = "$masked"  # a line whose values are left out, so that nobody takes "[16 bytes]" for an account
LONGEST_LINE: Final = 8 * MAX_FRAME

_encode = msgspec.json.Encoder().encode


class Tally:
    """How many were good and bad."""

    def __init__(self) -> None:
        self.good = self.bad = 0

    def failed(self, where: str, error: RouterError) -> None:
        self.bad += 1
        problems = error.problems if isinstance(error, FieldError) else ()
        tell(f"{where}: {text}" for text in ([problem.text() for problem in problems] or [error.text()]))

    def end(self, what: str) -> int:
        """Says how it went where that is news, and returns the exit code."""
        if self.bad or sys.stderr.isatty():
            tell([f"{self.good:,} {what}{'' if self.good == 1 else 's'}, {self.bad:,} bad"])
        return EXIT_FAILED if self.bad else 0


# --- decode -----------------------------------------------------------------------------------------------------


def decode_input(spec: Spec, source: str, as_hex: bool, unframed: bool, masked: bool) -> int:
    """Write a JSON line for each telegram of the input. Returns the exit code."""
    out, tally, offset, number = sys.stdout.buffer, Tally(), 0, 0
    shape = _masked if masked else to_object
    with progress(source) as advance:
        pieces = chunks(source, as_hex, advance)
        try:
            for number, frame in enumerate(_frames(spec, pieces, unframed), 1):
                try:
                    out.write(_encode(_poll(spec, frame, masked) if spec.is_poll(frame) else shape(spec.decode(frame))) + b"\n")
                    tally.good += 1
                except FieldError as error:
                    tally.failed(record(number, offset), error)
                offset += len(frame)
        except FramingError as error:
            tally.failed(record(number + 1, offset), error)
    out.flush()
    return tally.end("telegram")


def _frames(spec: Spec, pieces: Iterator[bytes], unframed: bool) -> Iterator[bytes]:
    if unframed:
        yield spec.framing.wrap(b"".join(pieces))
    else:
        yield from frames(spec.framing, pieces)


def _masked(telegram: Telegram) -> dict[str, Any]:
    return {MASKED: True} | masked_object(telegram)


def _poll(spec: Spec, frame: bytes, masked: bool) -> dict[str, str]:
    telegram = spec.framing.telegram(frame)
    return {POLL: f"[{len(telegram)} bytes]" if masked else telegram.hex()}


# --- encode -----------------------------------------------------------------------------------------------------


def encode_input(spec: Spec, source: str, as_hex: bool, unframed: bool) -> int:
    """Write the telegram of each JSON line of the input. Returns the exit code."""
    out, tally = sys.stdout.buffer, Tally()
    if sys.stdout.isatty() and not as_hex:
        raise click.UsageError("Telegrams are bytes, which may steer a terminal: add --hex, or write to a file with > FILE.")
    for number, line in _lines(source):
        try:
            frame = _frame(spec, line)
        except RouterError as error:
            tally.failed(f"line {number}", error)
            continue
        written = spec.framing.telegram(frame) if unframed else frame
        out.write(written.hex().encode() + b"\n" if as_hex else written)
        tally.good += 1
    out.flush()
    return tally.end("telegram")


def _lines(source: str) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers."""
    with opened(source) as stream:
        for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), 1):
            if len(line) == LONGEST_LINE:
                raise click.ClickException(
                    f"line {number} is longer than {LONGEST_LINE:,} bytes: is this JSON with one object on each line?"
                )
            if stripped := line.strip():
                yield number, stripped


def _frame(spec: Spec, line: bytes) -> bytes:
    given = read_json(line, strict=True)
    if isinstance(given, dict) and MASKED in given:
        raise RouterError("E-FLD-12", "the line is masked: its values are not in it", do="decode the telegram without --masked")
    if isinstance(given, dict) and given.keys() == {POLL}:
        return _poll_frame(spec, given[POLL])
    return spec.encode(from_object(spec, given))


def _poll_frame(spec: Spec, given: Any) -> bytes:
    with suppress(TypeError, ValueError, FramingError):
        frame = spec.framing.wrap(bytes.fromhex(given))
        if spec.is_poll(frame):
            return frame
    raise RouterError("E-FLD-12", f"{POLL} is not a poll of {spec.name}", expected="the poll's telegram as hex")
