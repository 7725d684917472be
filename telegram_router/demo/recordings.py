"""The books of the simulated hosts, as they stand in what the hosts recorded. A killed host leaves its recording, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from telegram_router.demo.books import OK, Entry, Key, Notice
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.telegrams import Spec

IDENTITY: Final = ("company_number", "bank_code", "sent_date", "message_number")  # by which the core remembers a transfer


@dataclass(frozen=True)
class Passed:
    """One telegram that a host got or sent."""

    at: float  # seconds since 1970
    came: bool
    message: str
    frame: bytes


def passed(recording: Path) -> Iterator[Passed]:
    """What has been written so far."""
    reader = CaptureReader(recording)
    begun = reader.head["t0"]
    for record in reader:
        if record["k"] == "m":
            yield Passed((begun + record["t"]) / 1e9, record["d"] == ">", record.get("msg") or "", record["raw"])


def key_of(spec: Spec, frame: bytes) -> Key:
    header = spec.header_slice
    return frame[header("company_number")].decode().rstrip(), frame[header("message_number")].decode()


def line_book(spec: Spec, recording: Path, host: str) -> list[Entry]:
    """Which transfers came over a line, and which answers went back over it."""
    events = {("transfer.request", True): "received", ("transfer.response", False): "answered"}
    telegrams = ((each, events.get((each.message, each.came))) for each in passed(recording))
    return [Entry(each.at, host, event, key_of(spec, each.frame)) for each, event in telegrams if event is not None]


def core_book(spec: Spec, recording: Path, results: Mapping[str, Mapping[str, str]], host: str) -> list[Entry]:
    """What became of each transfer that came to the bank. `results` is its own memory of them, by company, bank, date and number.

    Not its answers: those of a line that was killed could not be sent any more.
    """
    found = []
    for each in passed(recording):
        if each.message == "transfer.request" and each.came:
            number = "".join(each.frame[spec.header_slice(name)].decode().rstrip() for name in IDENTITY)
            event = "executed" if results[number]["result"] == OK else "refused"
            found.append(Entry(each.at, host, event, key_of(spec, each.frame), spec.decode(each.frame)["amount"]))
    return found


def notices_told(spec: Spec, recording: Path) -> Mapping[Key, Notice]:
    """The deposit notices (수신) that the bank sent, each with the codes that came back."""
    found: dict[Key, Notice] = {}
    for each in passed(recording):
        key = key_of(spec, each.frame)
        if each.message == "deposit_notice.request":
            found[key] = Notice(key, spec.decode(each.frame)["amount"])
        elif each.message == "deposit_notice.response":
            found[key].codes.append(each.frame[spec.header_slice("response_code")].decode())
    return found


def credit_book(requests: Iterable[Mapping[str, Any]], host: str) -> list[Entry]:
    """The same of the credit service, which keeps a list of what it was asked."""
    found = []
    for each in requests:
        asked = each["asked"]
        key, amount = (asked["customer"], asked["number"]), int(asked["amount"])
        found.append(Entry(0.0, host, "received", key, amount))
        found.append(Entry(0.0, host, "executed" if each["status"] == 200 else "refused", key, amount))
    return found
