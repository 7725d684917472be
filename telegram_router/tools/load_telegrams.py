"""Requests for a load: telegrams made up or captured, each sent under a number of its own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from telegram_router.errors import RouterError
from telegram_router.storage.capture_records import Record
from telegram_router.telegrams import MessageLayout, Spec
from telegram_router.telegrams.fields import Code, Digits, Text
from telegram_router.telegrams.generate import sample
from telegram_router.telegrams.layout import PlannedField
from telegram_router.tools.recorded import message_of

VARIED = 64  # samples that are made up, of all messages together
LEAST = 4  # of each


class LoadError(RouterError):
    """A load that cannot be begun."""


@dataclass(frozen=True)
class Stencil:
    """A request around the place of its number."""

    message: MessageLayout
    front: bytes
    back: bytes


class Requests:
    """An endless row of requests, of several stencils in turn. `number` counts from 0 and wraps with the field's width."""

    def __init__(self, spec: Spec, frames: Sequence[bytes], sequence: str | None = None, first: int = 1) -> None:
        self.spec = spec
        planned = _sequence_field(spec, sequence)
        place = spec.header_slice(planned.name)
        self.sequence = planned.path
        self.width = place.stop - place.start
        self.numbers = 10**self.width
        self.place = place
        self._first = first
        self._form = f"%0{self.width}d".encode()
        self._digits = not planned.kind.binary and spec.encoding not in _LIKE_ASCII
        self._codec = spec.encoding
        stencils = [Stencil(_request(spec, frame), frame[: place.start], frame[place.stop :]) for frame in frames]
        if not stencils:
            raise LoadError("E-RPL-01", "there is no request to send", do="name a message with --message, or a capture that has requests")
        self.stencils = tuple(stencils)

    def frame(self, number: int) -> bytes:
        """The request of that number."""
        stencil = self.stencils[number % len(self.stencils)]
        return stencil.front + self.digits(number) + stencil.back

    def digits(self, number: int) -> bytes:
        text: bytes = self._form % ((number + self._first) % self.numbers)
        return text.decode("ascii").encode(self._codec) if self._digits else text

    def key(self) -> Callable[[bytes], Hashable]:
        """What pairs a reply with its request."""
        return self.spec.correlate

    def number_of(self, frame: bytes) -> int | None:
        """The number in a reply, modulo the width; None where there is none."""
        raw = frame[self.place]
        text = raw.decode(self._codec, "replace") if self._digits else raw.decode("ascii", "replace")
        return (int(text) - self._first) % self.numbers if text.isascii() and text.isdigit() else None


_LIKE_ASCII = frozenset({"ascii", "utf-8", "cp949", "euc-kr", "euc_kr", "shift_jis", "cp932", "latin-1"})


def made_up(spec: Spec, messages: Sequence[str], seed: str) -> list[bytes]:
    """Valid requests out of nothing but the spec: of the messages named, or of all that are answered."""
    names = list(messages) or [each.name for each in spec.messages.values() if each.kind == "request" and each.reply.kind == "one"]
    for name in names:
        found = spec.messages.get(name)
        if found is None or found.kind != "request":
            raise LoadError(
                "E-RPL-01", "there is no such request", where=f"{spec.name} {name}", do=f"see `telegram-router spec show {spec.name}`"
            )
    each = max(VARIED // max(len(names), 1), LEAST)
    return [spec.encode(sample(spec, name, seed, number)) for number in range(each) for name in names]


def captured(spec: Spec, records: Iterable[Record], messages: Sequence[str], most: int = 10_000) -> list[bytes]:
    """The requests of a capture, the first so many."""
    found = []
    for record in records:
        message = message_of(spec, record["raw"])
        if message is not None and message.kind == "request" and (not messages or message.name in messages):
            found.append(record["raw"])
            if len(found) >= most:
                break
    return found


def _request(spec: Spec, frame: bytes) -> MessageLayout:
    message: MessageLayout | None = message_of(spec, frame)
    if message is None or message.kind != "request":
        raise LoadError("E-RPL-01", "a telegram that is to be sent is no request of the spec", where=spec.name)
    return message


def _sequence_field(spec: Spec, name: str | None) -> PlannedField:
    """The header field that tells requests apart: the one that was named, or the widest of numbers in the correlation key."""
    family = spec.family
    message = next(iter(spec.messages.values()))
    fields = {planned.name: planned for planned in message.fields if planned.section == "header" and planned.name}
    if name is not None:
        wanted = name.removeprefix("header.")
        if wanted not in family.correlation or wanted not in fields:
            known = ", ".join(family.correlation) or "none"
            raise LoadError("E-RPL-02", "is no field that pairs replies with requests", where=name, expected=f"one of {known}")
        return fields[wanted]
    candidates = [fields[each] for each in family.correlation if each in fields and each not in (*family.key, family.owner)]
    numbers = [each for each in candidates if isinstance(each.kind, Digits)] or [
        each for each in candidates if isinstance(each.kind, Text | Code) and not each.codes and each.length <= 20
    ]
    if not numbers:
        what = "no field pairs replies with requests" if not family.correlation else "no number is among the fields that pair replies"
        raise LoadError("E-RPL-02", what, where=spec.name, do="name one with --sequence")
    if family.carrier in family.correlation and fields[family.carrier or ""] in numbers:
        return fields[family.carrier or ""]
    return max(numbers, key=lambda each: each.length)
