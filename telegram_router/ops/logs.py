"""Structured logs: one JSON object a line on stderr, bounded in size and in rate, never waiting for whoever reads."""

# Rules this file keeps, all of them tested:
#
# 1. A line is ASCII and has no control character, whatever a peer put into a field. One event is one line.
# 2. No bytes, no repr and no message of a foreign exception is written: they hold what a peer sent. Callers pass names,
#    codes, offsets and numbers; of an exception its type and the places in the code are enough to mend a bug.
# 3. A reader that stops reading costs lines, which are counted, and never time.

from __future__ import annotations

import enum
import io
import itertools
import logging
import os
import re
import select
import socket
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import IO, Any, Protocol

import msgspec
import structlog

from telegram_router.errors import RouterError, places

FIELD_CAP = 256  # characters of one value
ITEM_CAP = 32  # elements of a list or a mapping
DEPTH_CAP = 4
LINE_CAP = 16 * 1024
LEAF_CAP = 8  # exceptions of one group
LINES_PER_SECOND = 1_000
ERRORS_PER_SECOND = 100  # on top, so that a flood of lesser lines does not hide an error
# What one peer alone can cause with every telegram may take this much of it: who floods must not hide a delivery that is unknown.
REPEATED_AT_WILL = frozenset(("refused", "dead_letter", "late_reply", "unmatched_reply", "operator_refused"))
REPEATED_PER_SECOND = 600
RECENT = 200  # lines with a code that are kept to be shown
BACKLOG_CAP = 256 * 1024  # bytes that wait for a slow reader

Level = str
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_OWN_KEYS = frozenset(("ts", "level", "event"))
_NOT_PRINTABLE = re.compile(r"[^ -~]")

# --- where lines go ----------------------------------------------------------------------------------------------


class Sink(Protocol):
    """Takes some or all of the bytes at once and says how many; raises BlockingIOError when there is no room."""

    def write(self, line: bytes, /) -> int: ...
    def close(self) -> None: ...


class Descriptor:
    """A file descriptor that other processes may share, so that its own flags must stay as they are."""

    def __init__(self, fd: int) -> None:
        mode = os.fstat(fd).st_mode
        self._fd = os.dup(fd)
        self._socket: socket.socket | None = None
        self._poll: select.poll | None = None
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(fd))
        elif stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            self._reopen()

    def _reopen(self) -> None:
        """Pipes and terminals: a description of our own, which may be non-blocking without anybody noticing."""
        try:
            own = os.open(f"/proc/self/fd/{self._fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:  # no /proc, or the terminal belongs to another user
            self._poll = select.poll()
            self._poll.register(self._fd, select.POLLOUT)
        else:
            os.close(self._fd)
            self._fd = own

    def write(self, line: bytes) -> int:
        if self._socket is not None:
            return self._socket.send(line, socket.MSG_DONTWAIT)
        if self._poll is None:
            return os.write(self._fd, line)
        if not self._poll.poll(0):
            raise BlockingIOError
        return os.write(self._fd, line[: select.PIPE_BUF])  # that much never blocks a pipe that has room at all

    def close(self) -> None:
        os.close(self._fd)
        if self._socket is not None:
            self._socket.close()


class _Borrowed:
    """A stream without a file descriptor, which its owner closes."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.write = stream.write

    def close(self) -> None:
        pass


class Outlet:
    """The bounded way to a sink. What does not fit is dropped and counted."""

    def __init__(self, sink: Sink) -> None:
        self.dropped = 0
        self._sink = sink
        self._waiting: deque[bytes] = deque()  # bounded by BACKLOG_CAP; the first may be the rest of a line
        self._waiting_bytes = 0

    def put(self, line: bytes) -> None:
        self.flush()
        if self._waiting_bytes + len(line) > BACKLOG_CAP:
            self.dropped += 1
            return
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        self.flush()

    def flush(self) -> None:
        """Write what fits."""
        while self._waiting:
            line = self._waiting[0]
            try:
                taken = self._sink.write(line)
            except BlockingIOError:
                return
            except (OSError, ValueError):  # the reader is gone, the disk is full, or the stream was closed
                self.dropped += len(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
                return
            self._waiting_bytes -= taken
            if taken < len(line):
                self._waiting[0] = line[taken:]
            else:
                self._waiting.popleft()

    def close(self) -> None:
        self.flush()
        self._sink.close()


# --- what a line holds -------------------------------------------------------------------------------------------


def plain(value: object, depth: int = 0) -> Any:
    """A value as JSON may show it. Bytes and unknown objects are named by size or type, never shown."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value, depth)
    if isinstance(value, str):
        return _capped(value)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else "[big number]"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, BaseException):
        return _capped(str(value)) if isinstance(value, RouterError) else type(value).__name__
    if depth < DEPTH_CAP and isinstance(value, Mapping):
        return {str(plain(key, depth + 1)): plain(each, depth + 1) for key, each in itertools.islice(value.items(), ITEM_CAP)}
    if depth < DEPTH_CAP and isinstance(value, list | tuple | set | frozenset):
        return [plain(each, depth + 1) for each in itertools.islice(value, ITEM_CAP)]
    return f"[{type(value).__name__}]"


def _capped(text: str) -> str:
    if len(text) > FIELD_CAP:
        text = text[: FIELD_CAP - 3] + "..."
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")  # mends half surrogates


def render(fields: Mapping[str, object]) -> bytes:
    """One line of ASCII. A line that is too long keeps its first three fields."""
    line = msgspec.json.encode(fields)
    if len(line) > LINE_CAP:
        line = msgspec.json.encode({key: value for key, value in fields.items() if key in _OWN_KEYS} | {"too_long": len(line)})
    text = line.decode("utf-8")
    if not (text.isascii() and text.isprintable()):
        text = _NOT_PRINTABLE.sub(_escaped, text)
    return text.encode("ascii") + b"\n"


def _escaped(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions of a group, its groups included; an exception that is none stands for itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error


# --- the log -----------------------------------------------------------------------------------------------------


class _Lines:
    """What structlog calls a logger: it takes what the last processor returned."""

    def __init__(self, outlet: Outlet) -> None:
        self.debug = self.info = self.warning = self.error = outlet.put


class Log:
    """`log.info("session opened", listener="branches")`. Events are few and fixed; what varies goes into fields."""

    def __init__(self, outlet: Outlet, level: Level, clock: Callable[[], float] = time.time) -> None:
        self._outlet = outlet
        self._clock = clock
        self._second = 0
        self._lines = 0  # in that second
        self._repeated = 0  # of them, what a peer repeats at will
        self._refused = 0  # by the rate bound
        self._reported = 0
        self.errors = 0  # lines with a code, so far
        self._recent: deque[tuple[int, float, Level, str, dict[str, object]]] = deque(maxlen=RECENT)
        self.adopt(level)

    def adopt(self, level: Level) -> None:
        """Write nothing less important than this from now on."""
        wrapper = structlog.make_filtering_bound_logger(_LEVELS[level])
        self._logger: Any = structlog.wrap_logger(_Lines(self._outlet), [self._admit, self._shape, _render_event], wrapper).bind()

    def debug(self, event: str, **fields: object) -> None:
        self._logger.debug(event, **fields)

    def info(self, event: str, **fields: object) -> None:
        self._logger.info(event, **fields)

    def warning(self, event: str, **fields: object) -> None:
        self._remember("warning", event, fields)
        self._logger.warning(event, **fields)

    def error(self, event: str, **fields: object) -> None:
        self._remember("error", event, fields)
        self._logger.error(event, **fields)

    def _remember(self, level: Level, event: str, fields: dict[str, object]) -> None:
        if "code" in fields:
            self.errors += 1
            self._recent.append((self.errors, self._clock(), level, event, fields))

    def recent(self) -> list[dict[str, Any]]:
        """The last lines of an error, each with its number: those as well that the level or the rate bound left out."""
        return [
            {"number": number, "ts": _stamp(at), "level": level, "event": event, "fields": plain(fields)}
            for number, at, level, event, fields in self._recent
        ]

    def audit(self, event: str, **fields: object) -> None:
        """What an operator has done: written whatever the level and the rate bound say, which their own number bounds."""
        self._outlet.put(render(self._shape(self, "info", {"event": event, **fields})))

    def bug(self, error: BaseException, **fields: object) -> None:
        """An exception that nobody expected: its type, code and places, without message, values or locals."""
        for leaf in itertools.islice(leaves(error), LEAF_CAP):
            code = leaf.code if isinstance(leaf, RouterError) else "E-INT-01"
            cause = leaf.__cause__ or leaf.__context__
            found = {"code": code, "exception": type(leaf).__name__, "at": places(leaf), "after": cause and type(cause).__name__}
            self.error("bug", **fields | found)

    @property
    def dropped(self) -> int:
        """Lines lost so far, to the rate bound or to a reader that does not read."""
        return self._refused + self._outlet.dropped

    def tick(self) -> None:
        """To be called about once a second: writes what waits, and says how many lines were lost."""
        self._outlet.flush()
        if int(self._clock()) != self._second:
            self._report()

    def close(self) -> None:
        """Write what fits, with the last count of lost lines. Nothing may be logged after it."""
        self._report()
        self._outlet.close()

    def _report(self) -> None:
        lost = self.dropped - self._reported
        if lost:
            self._reported = self.dropped
            self._outlet.put(render({"ts": _stamp(self._clock()), "level": "warning", "event": "log lines dropped", "dropped": lost}))

    # structlog's processors, in this order

    def _admit(self, _logger: object, level: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        second = int(self._clock())
        if second != self._second:
            self._report()
            self._second, self._lines, self._repeated = second, 0, 0
        at_will = fields["event"] in REPEATED_AT_WILL
        full = self._lines >= LINES_PER_SECOND + (ERRORS_PER_SECOND if level == "error" else 0)
        if full or (at_will and self._repeated >= REPEATED_PER_SECOND):
            self._refused += 1
            raise structlog.DropEvent
        self._lines += 1
        self._repeated += at_will
        return fields

    def _shape(self, _logger: object, level: str, fields: MutableMapping[str, Any]) -> dict[str, Any]:
        own = {"ts": _stamp(self._clock()), "level": level, "event": plain(fields["event"])}
        return own | {key: plain(value) for key, value in fields.items() if key not in _OWN_KEYS}


def _render_event(_logger: object, _level: str, fields: MutableMapping[str, Any]) -> bytes:
    return render(fields)


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class _LibraryLines(logging.Handler):
    """Lines of the libraries below us, which know the standard logging module only."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self._log.bug(record.exc_info[1], logger=record.name)
        elif record.levelno >= logging.ERROR:
            self._log.error("library", logger=record.name, what=str(record.msg))
        elif record.levelno >= logging.WARNING:
            self._log.warning("library", logger=record.name, what=str(record.msg))
        else:
            self._log.debug("library", logger=record.name, what=str(record.msg))


def open_log(level: Level, stream: IO[Any]) -> Log:
    """A log to a stream: a file descriptor where it has one, else its own write method."""
    try:
        sink: Sink = Descriptor(stream.fileno())
    except (AttributeError, io.UnsupportedOperation):
        sink = _Borrowed(getattr(stream, "buffer", stream))
    return Log(Outlet(sink), level)


def adopt_library_lines(log: Log) -> logging.Handler:
    """Send what libraries log to our log, so that stderr holds nothing but our lines. Arguments of theirs are left out."""
    handler = _LibraryLines(log)
    logging.getLogger().addHandler(handler)
    return handler
