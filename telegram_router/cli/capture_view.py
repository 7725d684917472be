"""`capture show`: the telegrams of a capture, one line each."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from telegram_router.cli.capture_inputs import exit_code, known_fields, reading, spec_for, tell_findings
from telegram_router.cli.shown import aligned, on_terminal, say, say_json
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.storage.capture_records import Record, zone_of
from telegram_router.telegrams import Spec
from telegram_router.telegrams.explain import display_width, printable
from telegram_router.tools.capture_work import Pairs
from telegram_router.tools.predicate import Predicate, parse
from telegram_router.tools.recorded import Recorded, message_of

HEADINGS: Final = ("number", "time", "from", "message", "key", "bytes", "exchange", "ms")
LEAST: Final = (6, 15, 6, 24, 28, 5, 8, 8)  # columns, since what is to come is not known


@dataclass(frozen=True)
class Wanted:
    """What to show of a capture."""

    filter: str | None = None
    follow: bool = False
    fields: bool = False
    values: bool = False
    limit: int | None = None
    as_json: bool = False


def show_capture(file: Path, wanted: Wanted, spec_name: str | None, folders: Sequence[Path]) -> int:
    """Returns the exit code: 0, or 5 where the capture is damaged."""
    predicate = parse(wanted.filter) if wanted.filter else None
    with reading(file, follow=wanted.follow) as reader:
        spec = spec_for(reader, spec_name, folders)
        if predicate is not None:
            known_fields(predicate, spec)
        view = _View(reader, spec, wanted)
        shown = 0
        if not wanted.as_json:
            view.line(HEADINGS)
        for record in _chosen(reader, spec, predicate):
            view.show(record)
            shown += record["k"] == "m"
            if shown == wanted.limit:
                return 0
    tell_findings(reader.findings)
    return exit_code([reader.findings])


def _chosen(reader: CaptureReader, spec: Spec | None, predicate: Predicate | None) -> Iterator[Record]:
    for record in reader:
        if record["k"] == "m":
            if predicate is None or predicate.holds(Recorded(record, spec)):
                yield record
        elif record["k"] in ("gap", "junk", "note") and predicate is None:
            yield record


class _View:
    def __init__(self, reader: CaptureReader, spec: Spec | None, wanted: Wanted) -> None:
        self.spec, self.wanted = spec, wanted
        self.t0 = reader.head["t0"]
        self.zone = zone_of(reader.head.get("tz") or "")
        self.pairs = Pairs()

    def show(self, record: Record) -> None:
        if self.wanted.as_json:
            say_json(self.as_object(record), indent=False)
        elif record["k"] == "m":
            self.telegram(record)
        else:
            what = {"gap": "bytes are missing here", "junk": "bytes that are no telegram", "note": ""}[record["k"]]
            say(
                f"        {self.time(record)}  {record.get('c', '')}{record.get('d', '')}  {what}{printable(record.get('text', ''))}",
                fg="yellow",
            )

    def telegram(self, record: Record) -> None:
        seen = Recorded(record, self.spec)
        asked = self.pairs.pair(record)
        took = "" if asked is None else f"{(record['t'] - asked['t']) / 1e6:,.3f}"
        self.line(
            (
                str(record["n"]), self.time(record), f"{record['c']} {record['d']}", seen.message or "not known", self.key(record),
                str(record["len"]), record.get("x", ""), took,
            )
        )  # fmt: skip
        if self.wanted.fields:
            rows = [[path, value] for path, value in self.values(seen)]
            for line in aligned(rows) if rows else ["it cannot be decoded: try `telegram-router explain`"]:
                say(f"        {line}")

    def line(self, cells: Sequence[str]) -> None:
        filled = (printable(cell) + " " * (width - display_width(cell)) for cell, width in zip(cells, LEAST, strict=True))
        say("  ".join(filled).rstrip(), bold=cells is HEADINGS and on_terminal())

    def time(self, record: Record) -> str:
        when = datetime.datetime.fromtimestamp((self.t0 + record["t"]) // 1_000_000_000, self.zone)
        return f"{when:%H:%M:%S}.{(self.t0 + record['t']) % 1_000_000_000 // 1_000:06d}"

    def key(self, record: Record) -> str:
        """By what people find the telegram again, as far as that may be shown."""
        if self.spec is None or message_of(self.spec, record["raw"]) is None:
            return ""
        seen = Recorded(record, self.spec)
        shown = {path: value for path, value in self.values(seen) if path.startswith("header.")}
        return " ".join(shown.get(f"header.{name}", "") for name in self.spec.family.correlation)

    def values(self, seen: Recorded) -> Iterable[tuple[str, str]]:
        """Path and value of every field; of one that is not clear its size."""
        clear = clear_paths(self.spec, seen.message)
        for path, value in seen.fields.items():
            text = "" if value is None else str(value)
            yield path, text if self.wanted.values or path in clear else f"[{len(text)} characters]"

    def as_object(self, record: Record) -> Record:
        """A record as it is written, its bytes and fields only as far as they may be shown."""
        if record["k"] != "m":
            return {key: value for key, value in record.items() if key != "raw"}
        seen = Recorded(record, self.spec)
        found: dict[str, Any] = record | {"msg": seen.message}
        if not self.wanted.values:
            found.pop("raw")
        if self.wanted.fields:
            found["f"] = dict(self.values(seen))
        return found


def clear_paths(spec: Spec | None, message: str | None) -> frozenset[str]:
    """The fields of a message whose values anybody may see."""
    if spec is None or message not in spec.messages:
        return frozenset()
    return frozenset(field.path for field in spec.messages[message].fields if field.log == "clear")
