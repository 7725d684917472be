"""The process that writes a capture: it reads what passed from its stdin, decodes, masks, encodes and writes."""

# Rules this file keeps, all of them tested:
#
# 1. It ends when its stdin does, and its file is then closed like any other. Signals of a terminal are not for it.
# 2. Where masking is on nothing reaches the writer that the masker has not given back.
# 3. Once telegrams were left out, an answer without its request is left out too, and so is a router's copy of a request that did not come:
#    exchanges are whole, or not there.
# 4. When nothing can be written it says so at once, and goes on reading, or with `block` tries again until it can: then whoever feeds it
#    is held up.

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from telegram_router.errors import ConfigError, RouterError
from telegram_router.storage import capture_records as records
from telegram_router.storage.capture_records import CaptureError, Record
from telegram_router.storage.capture_writer import CaptureWriter, Rotation
from telegram_router.telegrams import MessageLayout, Spec, load_spec
from telegram_router.telegrams.mask_policy import policy_of
from telegram_router.telegrams.masking import Masker
from telegram_router.tools.masked_records import RecordMasker
from telegram_router.tools.pairing import Pairing
from telegram_router.tools.recorded import message_of
from telegram_router.wire.capture_feed import CAME, CLOSED, JUNK, LEFT, OPENED, SHED

NICE: Final = 10
FLUSH_EVERY: Final = 0.2  # seconds after which what was read is in the file
AGAIN: Final = 0.2  # seconds until writing is tried again
EXCHANGES: Final = 100_000  # that are remembered


class Settings(msgspec.Struct):
    """The first message."""

    spec_file: str
    spec_sha256: str
    output: str
    source: str
    t0: int  # nanoseconds since 1970
    began: float  # the same moment on the clock of the items
    tz: str = "+09:00"
    key: bytes = b""
    policy: dict[str, Any] | None = None
    rotate_size: int | None = None
    rotate_age: float | None = None
    on_full: str = "drop"


class Exchanges:
    """Joins a request, its copies on a router's other connections, and the answers to all of them."""

    def __init__(self, spec: Spec, *, copies: bool) -> None:
        self._carrier = spec.carrier
        self._copies = copies
        self._pairing = Pairing(spec)
        self._asked: OrderedDict[bytes, str] = OrderedDict()  # by the request without what a router may rewrite

    def name(self, connection: str, message: MessageLayout | None, frame: bytes, *, came: bool, whole: bool = True) -> str | None:
        """The exchange of a telegram; None for one that belongs to none that is known. `whole`: nothing was left out so far."""
        if message is None or message.kind == "reply" or not self._copies:
            return self._pairing.exchange(connection, message, frame)
        carrier = self._carrier
        same = frame if carrier is None else frame[: carrier.start] + frame[carrier.stop :]
        known = None if came else self._asked.get(same)
        if known is None and not came and not whole:
            return None
        name = self._pairing.exchange(connection, message, frame, known)
        assert name is not None
        self._asked[same] = name
        if len(self._asked) > EXCHANGES:
            self._asked.popitem(last=False)
        return name

    def forget(self, connection: str) -> None:
        self._pairing.forget(connection)


class Sink:
    """Makes records of items. `wait` is asked with why something cannot be written: whether to try again, after as long as it takes."""

    def __init__(self, settings: Settings, wait: Callable[[str], bool] | None = None) -> None:
        self._wait = wait
        file = Path(settings.spec_file)
        self._spec = load_spec(file.read_text(encoding="utf-8"), file.name)
        self._began = settings.began
        self._proxy = settings.source == "proxy"  # which sees the beginning of every connection
        self._front: dict[str, bool] = {}
        self._exchanges = Exchanges(self._spec, copies=not self._proxy)
        self._masking = None
        if settings.key:
            masker = (
                Masker(self._spec, settings.key)
                if settings.policy is None
                else Masker(self._spec, settings.key, policy_of(settings.policy))
            )
            self._masking = RecordMasker(masker)
        head = records.head(
            t0=settings.t0,
            source=settings.source,  # type: ignore[arg-type]
            spec=self._spec.name,
            spec_sha256=settings.spec_sha256,
            tz=settings.tz,
        )
        self._writer = CaptureWriter(
            Path(settings.output),
            head if self._masking is None else self._masking.head(head),
            Rotation(settings.rotate_size, settings.rotate_age),
        )
        self.telegrams = 0
        self.left_out = 0  # by whoever feeds
        self.parts = 0  # of exchanges that were left out
        self.why = ""

    def take(self, item: Any) -> None:
        kind, name, *rest = item
        if kind in (CAME, LEFT):
            self._frames(name, rest[0], rest[1], came=kind == CAME)
        elif kind == OPENED:
            leg, peer, local, tls, at = rest
            self._front[name] = leg == "front"
            self._put(records.opened(self._t(at), name, leg=leg, peer=peer, local=local, tls=tls, syn=self._proxy))
        elif kind == CLOSED:
            at, by, how = rest
            self._exchanges.forget(name)
            self._front.pop(name, None)
            self._put(records.closed(self._t(at), name, by=by, how=how))
        elif kind == JUNK:
            at, data, direction, err = rest
            self._put(records.junk(self._t(at), name, direction, data, err=err))
        elif kind == SHED:
            self.left_out = name

    def _frames(self, name: str, at: float, frames: list[bytes], *, came: bool) -> None:
        t, front = self._t(at), self._front.get(name, True)
        for frame in frames:
            message = message_of(self._spec, frame)
            exchange = self._exchanges.name(name, message, frame, came=came, whole=not self.left_out)
            if exchange is None and self.left_out and message is not None:
                self.parts += 1
                continue
            record = records.telegram(t, name, ">" if came == front else "<", frame, x=exchange, msg=message.name if message else None)
            self._put(record)

    def _t(self, at: float) -> int:
        return max(0, round((at - self._began) * 1e9))

    def _put(self, record: Record) -> None:
        kept = record if self._masking is None else self._masking.record(record)
        if kept is None:
            return
        self.telegrams += record["k"] == "m"
        if self.why:
            return
        try:
            self._writer.write(kept)
        except CaptureError as error:
            self._again(error, lambda: self._writer.write(kept))

    def flush(self) -> None:
        if not self.why:
            try:
                self._writer.flush()
            except CaptureError as error:
                self._again(error, self._writer.flush)

    def _again(self, error: CaptureError, step: Callable[[], object]) -> None:
        """Until it can be done, or nobody wants to wait."""
        while self._wait is not None and self._wait(error.what):
            try:
                step()
            except CaptureError as later:
                error = later
            else:
                self._wait("")
                return
        self.why = error.what

    def end(self) -> dict[str, Any]:
        """Close the file; what is to be said of it."""
        missing = self.left_out + self.parts
        if missing:
            self._put(records.note(0, f"{missing} telegrams were left out, exchanges whole: it could not be kept up"))
        if not self.why:
            try:
                self._writer.close()
            except CaptureError as error:
                self.why = error.what
        files = self._writer.paths if self._writer.unfinished is None else [*self._writer.paths, self._writer.unfinished]
        return {
            "telegrams": self._writer.written, "left_out": missing, "unwritten": self.telegrams - self._writer.written,
            "files": [str(path) for path in files], "why": self.why,
        }  # fmt: skip


class Patience:
    """For `block`: tells what is wrong, and waits as long as there is somebody who feeds."""

    def __init__(self, stream: Any) -> None:
        self._gone = select.poll()
        self._gone.register(stream, 0)  # its other end is always told of
        self._told = ""

    def __call__(self, why: str) -> bool:
        """Whether to try again. With "" it goes on."""
        if why != self._told:
            self._told = why
            _say({"why": why})
        return bool(why) and not self._gone.poll(AGAIN * 1000)


def main() -> int:
    os.nice(NICE)  # whoever handles telegrams goes first
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stream = open(0, "rb", buffering=0)  # noqa: SIM115
    first = _message(stream)
    if first is None:
        return 0
    settings = msgspec.msgpack.decode(first, type=Settings)
    patience = Patience(stream) if settings.on_full == "block" else None
    try:
        sink = Sink(settings, patience)
    except RouterError as error:
        code = error.code if not isinstance(error, ConfigError) else "E-CAP-09"
        _say({"code": code, "what": error.what or str(error), "where": error.where})
        return 1
    except OSError as error:
        _say({"code": "E-CAP-09", "what": f"{error.filename}: {error.strerror}"})
        return 1
    _say({"pid": os.getpid()})
    _serve(stream, sink)
    _say(sink.end())
    return 0


def _serve(stream: Any, sink: Sink) -> None:
    decode = msgspec.msgpack.Decoder(list[Any]).decode
    flushed, told = time.monotonic(), ""
    while True:
        ready, _, _ = select.select([stream], [], [], FLUSH_EVERY)
        if ready:
            message = _message(stream)
            if message is None:
                return
            for item in decode(message):
                sink.take(item)
        if time.monotonic() - flushed >= FLUSH_EVERY:
            sink.flush()
            flushed = time.monotonic()
        if sink.why != told:
            told = sink.why
            _say({"why": told})


def _message(stream: Any) -> bytes | None:
    size = _exactly(stream, 4)
    return _exactly(stream, int.from_bytes(size, "little")) if size else None


def _exactly(stream: Any, size: int) -> bytes | None:
    """So many bytes; None where the pipe ends before."""
    parts: list[bytes] = []
    while size:
        part = stream.read(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _say(what: dict[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
