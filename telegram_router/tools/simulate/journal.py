"""What has happened, as far as it is kept: the last telegrams, counts of everything, and what is to be written to a capture."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

from telegram_router.storage.capture_records import Record
from telegram_router.telegrams import Spec, Telegram

RECORDS_AT_MOST: Final = 100_000  # not yet written to the capture
NOTES_AT_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One telegram that came or was sent."""

    at: float
    connection: int
    number: int  # of the request on its connection
    sent: bool
    message: str
    frame: bytes
    rule: str
    faults: tuple[str, ...]


class Journal:
    def __init__(self, spec: Spec, most: int, recording: bool) -> None:
        self._spec = spec
        self._entries: deque[Entry] = deque(maxlen=most)
        self.notes: deque[str] = deque(maxlen=NOTES_AT_MOST)
        self.recording = recording
        self.records: deque[Record] = deque(maxlen=RECORDS_AT_MOST)
        self.came: Counter[str] = Counter()  # by message, of which the spec has so many
        self.went: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        (self.went if entry.sent else self.came)[entry.message] += 1

    def note(self, text: str) -> None:
        self.notes.append(text)

    def record(self, record: Record) -> None:
        if self.recording:
            self.records.append(record)

    def entries(self, message: str | None = None, sent: bool | None = None) -> list[Entry]:
        """Those that are kept, oldest first."""
        return [entry for entry in self._entries if message in (None, entry.message) and sent in (None, entry.sent)]

    def decoded(self, entry: Entry) -> Telegram:
        """Raises FieldError for what is no telegram of the spec."""
        return self._spec.decode(entry.frame)

    def clear(self) -> None:
        self._entries.clear()
        self.notes.clear()
        self.came.clear()
        self.went.clear()
        self.counts.clear()
