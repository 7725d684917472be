"""`find`: what became of a telegram, by its number, over the access records of a router that runs or ran."""

# Rules this file keeps:
#
# 1. A line is only read as JSON when the bytes asked for stand in it: a million lines take about a second.
# 2. A line that is cut or damaged is passed over; a file that is being written or put aside is read as far as it goes.

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO, Any, Final

import click
import msgspec

from telegram_router.cli import EXIT_FAILED, tell
from telegram_router.cli.shown import say
from telegram_router.errors import CODES

CHUNK = 4 * 1024 * 1024
MEANINGS: Final = {
    "ok": "the service has answered: whether it was carried out is in its answer, which is not recorded",
    "client_closed": "the service has answered, but whoever asked was gone: it may have been carried out without the asker knowing; tell the asker",
    "backend_error": "the service has answered that it is in trouble: see its answer, and ask for the result if it does not say that nothing was done",
    "duplicate": "this telegram was not sent; what became of the first one of this number is in that one's own record",
    "late_reply": "an answer came after the request had been given up, and went to nobody: the request has been decided; reconcile it",
    "unmatched_reply": "an answer that no open request waits for, given to nobody: compare it with the requests of this number",
    "backend_rejected": "the backend says for certain that it was not carried out; it may be sent again",
}
DELIVERIES: Final = {
    "answered": "the service has answered: whether it was carried out is in its answer, which is not recorded",
    "not_sent": "no byte of it has left the router: nothing was carried out, and it may be sent again",
    "sent_unknown": "it may have been carried out or not: ask for the result or reverse it, and never send it again",
    "sent": "a one-way telegram that was handed over whole: nothing answers it, so nobody knows more",
}


@dataclass(frozen=True)
class Wanted:
    """What is looked for: a value of any field of the key, or the trace; and values of certain fields."""

    key: str | None
    fields: dict[str, str]
    day: date | None
    secret: bytes = b""

    def needles(self) -> list[bytes]:
        """Bytes of which one stands in every record that is wanted: the end of a value with its quotation mark."""
        value = self.key if self.key is not None else next(iter(self.fields.values()))
        plain = msgspec.json.encode(value.strip().lstrip("0"))[1:]
        return [plain, *([msgspec.json.encode(self._hash(value))[1:]] if self.secret else [])]

    def span(self) -> tuple[str, str]:
        """The times between which records count; the day is one of this machine's time zone."""
        if self.day is None:
            return "", "~"
        begin = datetime.combine(self.day, time()).astimezone()
        end = datetime.combine(self.day + timedelta(days=1), time()).astimezone()
        first, last = (each.astimezone(tz=None).timestamp() for each in (begin, end))
        return _stamp(first), _stamp(last)

    def fits(self, record: dict[str, Any]) -> bool:
        key = record.get("key", {})
        if self.key is not None and record.get("trace") != self.key and not any(self._is(each, self.key) for each in key.values()):
            return False
        return all(self._is(key.get(name, ""), value) for name, value in self.fields.items())

    def _is(self, shown: str, value: str) -> bool:
        if shown == value or (shown.strip().lstrip("0") == value.strip().lstrip("0") and shown):
            return True
        return bool(self.secret) and shown == self._hash(value)

    def _hash(self, value: str) -> str:
        from telegram_router.ops.records import hashed

        return hashed(value, self.secret)


def _stamp(seconds: float) -> str:
    from datetime import UTC

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def files_of(path: Path) -> list[Path]:
    """The file of access records and those that were put aside from it, oldest first."""
    found = [each for each in path.parent.glob(f"{path.name}*") if each.is_file() and not each.name.endswith((".key", ".tmp"))]
    dated = {each: each.stat().st_mtime for each in found}
    return sorted(found, key=lambda each: (each == path, dated[each], each.name))


def lines_with(stream: IO[bytes], needles: Sequence[bytes]) -> Iterator[bytes]:
    """Whole lines that hold one of some bytes, in their order."""
    rest = b""
    while chunk := _read(stream):
        data = rest + chunk
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        yield from _among(data, end, needles)
    yield from _among(rest, len(rest), needles)


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(CHUNK)
    except (EOFError, OSError, zlib.error):  # a compressed file that is still being written, or is damaged
        return b""


def _among(data: bytes, end: int, needles: Sequence[bytes]) -> Iterator[bytes]:
    starts = set()
    for needle in needles:
        at = data.find(needle, 0, end)
        while at >= 0:
            start = data.rfind(b"\n", 0, at) + 1
            starts.add(start)
            stop = data.find(b"\n", at, end)
            at = data.find(needle, stop, end) if stop >= 0 else -1
    for start in sorted(starts):
        stop = data.find(b"\n", start, end)
        yield data[start : stop if stop >= 0 else end]


def search(paths: Sequence[Path], wanted: Wanted) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Records that are wanted, each as its line and read."""
    needles, (first, last) = wanted.needles(), wanted.span()
    for path in paths:
        try:
            stream: Any = gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115 - closed below
        except FileNotFoundError:  # it was put aside or removed just now
            continue
        with stream:
            for line in lines_with(stream, needles):
                try:
                    record = msgspec.json.decode(line)
                except msgspec.DecodeError:
                    continue
                if isinstance(record, dict) and first <= record.get("ts", "") < last and wanted.fits(record):
                    yield line, record


def find_records(paths: Sequence[Path], wanted: Wanted, as_json: bool, sampled: float) -> int:
    """Print every record that is wanted. Returns the exit code: 1 where there is none."""
    count = 0
    for line, record in search(paths, wanted):
        count += 1
        if as_json:
            click.echo(line)
        else:
            _say(record)
    if count:
        if not as_json:
            say(f"{count} record{'s' if count > 1 else ''}")
        return 0
    tell([f"no record of it in {len(paths)} file{'s' if len(paths) != 1 else ''}"])
    if sampled < 1.0:
        tell(
            [f"of what went well only a share of {sampled:g} is recorded (sample_ok): that there is no record does not say that it failed"]
        )
    return EXIT_FAILED


def meaning(record: dict[str, Any]) -> str:
    """What a record means for the money."""
    delivery, result = record.get("delivery", ""), record.get("result", "")
    if delivery == "sent_unknown":
        return DELIVERIES[delivery]
    if result == "client_closed" and delivery != "answered":
        return DELIVERIES.get(delivery, "")
    return MEANINGS.get(result) if result in MEANINGS and delivery != "sent" else DELIVERIES.get(delivery, "")  # type: ignore[return-value]


def _say(record: dict[str, Any]) -> None:
    get = record.get
    key = ", ".join(f"{name} {value}" for name, value in get("key", {}).items())
    say(f"{get('ts', '')}  {get('message', '') or 'no message of its spec'}  {key}".rstrip(), bold=True)
    who = ", ".join(each for each in (get("user"), get("address")) if each)
    session = f"{get('session', '')} at {get('listener', '')}" + (f" ({who})" if who else "") if get("session") else ""
    link = ", ".join(each for each in (get("service"), get("backend"), get("link")) if each)
    route = f", by the route {get('route')}" if get("route") else ""
    asked, answered = (link, session) if get("asked_by") == "link" else (session, link)
    row("asked by", asked)
    row("went to", answered + route if answered else "")
    code = get("code", "")
    row("result", get("result", "") + (f", {code}: {CODES[code].title}" if code in CODES else f", {code}" if code else ""))
    colour = {"sent_unknown": "red", "not_sent": "yellow", "answered": "green"}.get(get("delivery", ""), "")
    row("delivery", ": ".join(each for each in (get("delivery", ""), meaning(record)) if each), colour)
    waited = f"{get('queue_ms')} ms until a link had room, " if get("queue_ms") else ""
    took = f"then {get('answer_ms')} ms" if waited else f"{get('answer_ms')} ms"
    row(
        "took",
        (waited + took if get("answer_ms") else waited.rstrip(", ")) + (f", {get('attempts')} attempts" if get("attempts", 1) > 1 else ""),
    )
    row("trace", get("trace", ""))
    say()


def row(name: str, text: str, colour: str = "") -> None:
    if text:
        say(f"  {name:<9} {text}", **({"fg": colour} if colour else {}))
