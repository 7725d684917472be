"""Spans for OpenTelemetry, made of records after the fact by a process of its own: what computes there holds no telegram up.

The router writes to this process's stdin: first a line that says where spans go, then a record a line.
"""

# Rules this file keeps:
#
# 1. The packages of OpenTelemetry are imported here alone, and only by that process.
# 2. A span holds what its access record holds, and nothing else of a telegram.
# 3. An exporter that fails costs spans and a log line, never the router's time.

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from telegram_router.ops.records import RecordMaker
from telegram_router.routing import Ended, Exchange, Switch

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

AT_ONCE = 512  # records of one export
READ = 1 << 20
PATIENCE = 2.0  # seconds for what is still to be sent at the end
ATTRIBUTES = ("delivery", "code", "route", "listener", "backend", "attempts", "bytes_in", "bytes_out")


class Settings(msgspec.Struct):
    """The first line."""

    endpoint: str
    service_name: str
    headers: dict[str, str] = {}


class Exporter(Protocol):
    """What of an exporter of OpenTelemetry is used."""

    def export(self, spans: Sequence[ReadableSpan]) -> Any: ...
    def shutdown(self) -> None: ...


# --- in the router ------------------------------------------------------------------------------------------------------


class SpanMaker:
    """Lines for the process: of sampled requests alone, which belong to one trace in record, log and span."""

    def __init__(self, switch: Switch, records: RecordMaker) -> None:
        self._switch = switch
        self._records = records
        self._encoder = msgspec.json.Encoder()

    def write(self, ended: Sequence[Ended], out: list[bytes]) -> int:
        before = len(out)
        for each in ended:
            exchange = each[2]
            if exchange is not None and exchange.settled and each[0] != "late_reply" and self._is_sampled(exchange):
                out.append(self._encoder.encode(self._records.record(each)) + b"\n")
        return len(out) - before

    def _is_sampled(self, exchange: Exchange) -> bool:
        known = bool(exchange.trace)
        sampled = self._switch.trace_of(exchange)[48:] == b"01"
        if not (sampled or known):
            exchange.trace = b""  # nobody has been told of it, and its record is made the quicker way
        return sampled


class Process:
    """The other process's stdin. It is started when there is something to write, and anew when it has ended."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def write(self, data: bytes) -> int:
        if self._process is None:
            command = [sys.executable, "-m", "telegram_router.ops.spans"]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0, start_new_session=True)
            self._put(msgspec.json.encode(self._settings) + b"\n")
        return self._put(data)

    def _put(self, data: bytes) -> int:
        assert self._process is not None and self._process.stdin is not None
        return os.write(self._process.stdin.fileno(), data)

    def reopen(self) -> None:
        """It cannot be written to any more."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.kill()
            process.wait()

    def close(self) -> None:
        """Let it send what it has."""
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.reopen()


# --- in the other process -----------------------------------------------------------------------------------------------


def spans_of(record: dict[str, Any], resource: Resource, own: int) -> list[ReadableSpan]:
    """The router's span of a request, and below it that of asking the service. `own`: the id of the latter."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    trace, server = int(record["trace"], 16), int(record["span"], 16)
    end = int(datetime.fromisoformat(record["ts"]).timestamp() * 1_000_000) * 1000
    given = end - int(record.get("answer_ms", 0.0) * 1e6)
    begin = given - int(record.get("queue_ms", 0.0) * 1e6)
    result, service, message = record["result"], record.get("service", ""), record.get("message", "")
    attributes: dict[str, Any] = {"rpc.system": "telegram", "rpc.service": service, "rpc.method": message}
    attributes |= {f"telegram.{name}": record[name] for name in ATTRIBUTES if name in record}
    if result != "ok":
        attributes["error.type"] = result
    status = Status(StatusCode.UNSET) if result == "ok" else Status(StatusCode.ERROR, record.get("code") or result)

    def context(span: int, *, remote: bool = False) -> SpanContext:
        return SpanContext(trace, span, remote, TraceFlags(TraceFlags.SAMPLED))

    parent = context(int(record["parent"], 16), remote=True) if record.get("parent") else None
    name = f"{service}/{message}"
    made = [
        ReadableSpan(
            name, context(server), parent, resource, attributes, kind=SpanKind.SERVER, status=status, start_time=begin, end_time=end
        )
    ]
    if record.get("link"):
        below = context(own)
        made.append(
            ReadableSpan(
                name, below, context(server), resource, attributes, kind=SpanKind.CLIENT, status=status, start_time=given, end_time=end
            )
        )
    return made


def export(lines: Iterator[list[bytes]], exporter: Exporter, resource: Resource) -> None:
    """Send the spans of records as long as some come."""
    for batch in lines:
        spans: list[ReadableSpan] = []
        for line in batch:
            try:
                spans += spans_of(msgspec.json.decode(line), resource, int.from_bytes(os.urandom(8), "big") or 1)
            except (ValueError, KeyError, TypeError):  # half a line of a router that was killed
                continue
        if spans:
            exporter.export(spans)
    exporter.shutdown()


def batches(fd: int) -> Iterator[list[bytes]]:
    """Whole lines, as many as have come and at most AT_ONCE."""
    rest = b""
    while data := os.read(fd, READ):
        *lines, rest = (rest + data).split(b"\n")
        for at in range(0, len(lines), AT_ONCE):
            yield lines[at : at + AT_ONCE]


def main() -> None:
    """What the process does."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource

    from telegram_router.ops.logs import adopt_library_lines, open_log

    log = open_log("warning", sys.stderr)
    adopt_library_lines(log)  # the exporter says there why it could not send
    stdin = sys.stdin.fileno()
    first = b""
    while not first.endswith(b"\n"):
        byte = os.read(stdin, 1)
        if not byte:
            return
        first += byte
    settings = msgspec.json.decode(first, type=Settings)
    exporter = OTLPSpanExporter(settings.endpoint, headers=settings.headers)
    try:
        export(batches(stdin), exporter, Resource.create({"service.name": settings.service_name}))
    finally:
        log.close()


if __name__ == "__main__":
    main()
