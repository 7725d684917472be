"""Input of the telegram commands: a file, stdin or hex digits, in pieces, so that a file of any size fits into memory."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import click

from telegram_router.errors import FramingError
from telegram_router.telegrams import Framer, Framing

MAX_FRAME: Final = 1024 * 1024  # the most that a router can be configured to accept
_CHUNK: Final = 256 * 1024
_AT_ONCE: Final = 256
_BAR_FROM: Final = 16 * 1024 * 1024  # below that it is done before a bar could be read
_TAIL: Final = 1024
_PADDING: Final = b"\r\n \x00\x1a"
_BETWEEN: Final = b" \t\r\n:"
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")

Advance = Callable[[int], None]


def chunks(source: str, as_hex: bool, advance: Advance = lambda size: None) -> Iterator[bytes]:
    """The bytes of an input. `advance` is told the size of each piece as it stands in the file."""
    if as_hex and source != "-" and not os.path.isfile(source):  # pathlib would raise for a name as long as a telegram
        yield from _from_hex(iter([source.encode("utf-8", "replace")]))
        return
    with opened(source) as stream:
        pieces = _pieces(stream, advance)
        yield from _from_hex(pieces) if as_hex else pieces


@contextmanager
def opened(source: str) -> Iterator[IO[bytes]]:
    """A file, or stdin for `-`. Raises click.ClickException when it cannot be opened."""
    if source == "-":
        if sys.stdin.isatty():
            click.echo("reading from the terminal; end with Ctrl-D, or give a file", err=True)
        yield sys.stdin.buffer
        return
    try:
        stream = Path(source).open("rb")  # noqa: SIM115  # closed below: only opening is to be caught here
    except OSError as error:
        raise click.ClickException(f"{source}: {error.strerror}") from None
    with stream:
        yield stream


def _pieces(stream: IO[bytes], advance: Advance) -> Iterator[bytes]:
    read = stream.read1 if isinstance(stream, io.BufferedReader) else stream.read  # what is there now, of a pipe that goes on
    try:
        while piece := read(_CHUNK):
            yield piece
            advance(len(piece))
    except OSError as error:
        raise click.ClickException(f"the input cannot be read: {error.strerror}") from None


def _from_hex(pieces: Iterator[bytes]) -> Iterator[bytes]:
    half, line = b"", 1
    for piece in pieces:
        digits = half + piece.translate(None, _BETWEEN)
        if not _HEX.issuperset(digits):
            line += piece[: next(at for at, byte in enumerate(piece) if byte not in _HEX and byte not in _BETWEEN)].count(b"\n")
            raise click.ClickException(
                f"the input is not hex: line {line} holds something else than 0-9, a-f, blanks and colons; of xxd use `xxd -p`"
            )
        line += piece.count(b"\n")
        whole = len(digits) // 2 * 2
        half = digits[whole:]
        yield bytes.fromhex(digits[:whole].decode("ascii"))
    if half:
        raise click.ClickException("the input is not hex: its number of digits is odd")


def frames(framing: Framing, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Whole frames. Raises FramingError once the framing is lost, or when the input ends inside a frame."""
    framer = Framer(framing, max_frame=MAX_FRAME)
    tail, any_found = b"", False
    try:
        for piece in pieces:
            tail = (tail + piece)[-_TAIL:]
            framer.feed(piece)
            while found := framer.take(_AT_ONCE):
                any_found = True
                yield from found
        framer.end()
    except FramingError as error:
        if framer.pending <= len(tail) and not tail[-framer.pending :].strip(_PADDING):
            raise _padded(error, any_found) from None
        raise _cut_short(error, framer.pending) if error.code == "E-FRM-05" else error from None


def _cut_short(error: FramingError, left: int) -> FramingError:
    what = f"the input ends inside a telegram, of which {left} bytes are there"
    return FramingError(error.code, what, expected=error.expected, do="see whether the file is whole")


def _padded(error: FramingError, behind: bool) -> FramingError:
    do = "take them away: a text editor, or copying into a fixed size, may have added them"
    where = "behind the last telegram" if behind else "in the input"
    return FramingError(error.code, f"{where} there are only line ends, blanks or zero bytes", where=error.where, do=do)


@contextmanager
def progress(source: str) -> Iterator[Advance]:
    """A bar on stderr for a large file, where a person sees it and it does not disturb the output."""
    size = os.path.getsize(source) if source != "-" and os.path.isfile(source) else 0
    if size < _BAR_FROM or not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    with Progress(BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=size)
        yield lambda piece: bar.advance(task, piece)


def record(number: int, offset: int) -> str:
    """How a telegram of an input is called: the N-th, and where it begins."""
    return f"telegram {number} (at byte {offset:,})"
