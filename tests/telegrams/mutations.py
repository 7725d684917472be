"""Broken telegrams and values by the thousand: whatever is accepted must be what was sent, whatever is not is refused in our way."""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from telegram_router.errors import FieldError, RouterError
from telegram_router.telegrams import MessageLayout, Spec, from_json, from_object, to_json, to_object
from telegram_router.telegrams.generate import sample

SAMPLES = 12  # telegrams of each message to start from

Mutation = Callable[[random.Random, bytearray, MessageLayout], None]


def flip_bit(chance: random.Random, raw: bytearray, message: MessageLayout) -> None:
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)


def swap_bytes(chance: random.Random, raw: bytearray, message: MessageLayout) -> None:
    one, other = chance.randrange(len(raw)), chance.randrange(len(raw))
    raw[one], raw[other] = raw[other], raw[one]


def truncate(chance: random.Random, raw: bytearray, message: MessageLayout) -> None:
    del raw[chance.randrange(len(raw)) :]


def cut_out(chance: random.Random, raw: bytearray, message: MessageLayout) -> None:
    at = chance.randrange(len(raw))
    del raw[at : at + chance.randrange(1, 9)]


def insert(chance: random.Random, raw: bytearray, message: MessageLayout) -> None:
    at = chance.randrange(len(raw))
    raw[at:at] = chance.choice((b" ", b"\r\n", b"\x00", chance.randbytes(chance.randrange(1, 9))))


def shift(chance: random.Random, raw: bytearray, message: MessageLayout) -> None:
    """A field too long, and the end cut to the right size."""
    at, by = chance.randrange(len(raw)), chance.randrange(1, 9)
    raw[at:at] = b" " * by
    del raw[-by:]


def cut_character(chance: random.Random, raw: bytearray, message: MessageLayout) -> None:
    """The first byte of a double-byte character, or a shift to double bytes, where a field ends."""
    planned = chance.choice(message.fields)
    at = min(planned.end, len(raw)) - 1
    if at >= 0:
        raw[at] = chance.choice(b"\xb0\xc8\xfe\x81\x0e")


def digit_to_letter(chance: random.Random, raw: bytearray, message: MessageLayout) -> None:
    at = chance.randrange(len(raw))
    for place in range(at, min(at + 60, len(raw))):
        if 0x30 <= raw[place] <= 0x39 or 0xF0 <= raw[place] <= 0xF9:
            raw[place] = chance.choice(b"AOIl-+.,{}\xc1\xd1")
            return


def overwrite_field(chance: random.Random, raw: bytearray, message: MessageLayout) -> None:
    planned = chance.choice(message.fields)
    if planned.end <= len(raw) and planned.length:
        filling = chance.choice((b" ", b"0", b"9", b"\x00", b"\xff", b"\x40", b"\xf0", b"-", "가".encode("cp949")))
        raw[planned.offset : planned.end] = (filling * planned.length)[: planned.length]


MUTATIONS: tuple[Mutation, ...] = (
    flip_bit,
    swap_bytes,
    truncate,
    cut_out,
    insert,
    shift,
    cut_character,
    digit_to_letter,
    overwrite_field,
)


def mutated(chance: random.Random, raw: bytes, message: MessageLayout) -> tuple[str, bytes]:
    """One mishap and its name, now and then with others behind it."""
    made = bytearray(raw)
    first = chance.choice(MUTATIONS)
    first(chance, made, message)
    while made and chance.random() < 0.3:
        chance.choice(MUTATIONS)(chance, made, message)
    return first.__name__, bytes(made)


# --- values -----------------------------------------------------------------------------------------------------


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all single values."""
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from leaves(inside, (*path, name))
    elif isinstance(value, list) and value:
        for number, inside in enumerate(value):
            yield from leaves(inside, (*path, number))
    else:
        yield path


def other_value(chance: random.Random, value: Any) -> Any:
    text = value if isinstance(value, str) else "7"
    return chance.choice(
        (
            text + chance.choice(("0", "9", "A", "가", "ｱ", "힣똠", "₩", "\x00", "é", "0" * 40, "가" * 40)),
            text[:-1],
            "-" + text,
            text + ".5",
            text + ".00",
            unicodedata.normalize("NFD", text + "각"),
            "9" * chance.randrange(1, 60),
            chance.choice(("홍길동", "ﾔﾏﾀﾞ", "똠방각하", "A\tB", " A", "")),
            int("9" * chance.randrange(1, 30)),
            chance.choice((None, True, 1.5, [], {}, [1], {"a": 1}, -1, 0)),
        )
    )


def same(given: Any, read: Any) -> bool:
    """Whether nothing of a value was lost: padding, the composed form of Hangul and the digits of a number may differ."""
    if isinstance(given, dict) and isinstance(read, dict):
        return all(same(value, read.get(name)) for name, value in given.items())
    if isinstance(given, list) and isinstance(read, list):
        return len(given) == len(read) and all(map(same, given, read))
    if given is None or (given == "" and read in (None, "")):
        return True  # left out: blank, or what follows from the layout
    if isinstance(given, str | int) and isinstance(read, str | int) and not isinstance(given, bool):
        return _plain(given) == _plain(read) or (_number(given) is not None and _number(given) == _number(read))
    return False


def _plain(value: str | int) -> str:
    return unicodedata.normalize("NFC", str(value)).rstrip(" \u3000")


def _number(value: str | int) -> Decimal | None:
    try:
        return Decimal(str(value).strip())
    except InvalidOperation:
        return None


# --- the trials -------------------------------------------------------------------------------------------------


@dataclass
class Score:
    """What became of the trials. `wrong` must stay empty."""

    tried: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Score) -> None:
        self.tried += other.tried
        self.accepted += other.accepted
        self.codes += other.codes
        self.wrong += other.wrong


class Trials:
    """Mutated telegrams of some specs, from a seed."""

    def __init__(self, specs: list[Spec], seed: int) -> None:
        self._chance = random.Random(seed)
        self._starts = [
            (spec, message, spec.framing.telegram(frame), to_object(spec.decode(frame)))
            for spec in specs
            for message in spec.messages.values()
            for number in range(SAMPLES)
            for frame in [spec.encode(sample(spec, message.name, seed, number))]
        ]
        self.score = Score()

    def run(self, count: int) -> Score:
        for _ in range(count):
            spec, message, raw, form = self._chance.choice(self._starts)
            if self._chance.random() < 0.25:
                self._values(spec, form)
            else:
                self._bytes(spec, *mutated(self._chance, raw, message))
        return self.score

    def _bytes(self, spec: Spec, name: str, raw: bytes) -> None:
        self.score.tried[name] += 1
        try:
            frame = spec.framing.wrap(raw) if self._chance.random() < 0.9 else raw
            telegram = spec.decode(frame)
        except RouterError as refused:
            self._refused(refused)
            return
        except Exception as error:
            self.score.wrong.append(f"{spec.name} {name}: {type(error).__name__} on reading {raw.hex()}")
            return
        self.score.accepted[name] += 1
        try:
            telegram.raw = None
            if spec.encode(telegram) != frame:
                self.score.wrong.append(f"{spec.name} {name}: other bytes are written than were read: {raw.hex()}")
            if spec.encode(from_json(spec, to_json(telegram))) != frame:
                self.score.wrong.append(f"{spec.name} {name}: by way of JSON other bytes are written: {raw.hex()}")
        except Exception as error:
            self.score.wrong.append(f"{spec.name} {name}: {type(error).__name__}: {error} on writing {raw.hex()}")

    def _values(self, spec: Spec, form: dict[str, Any]) -> None:
        name = "value"
        self.score.tried[name] += 1
        path = self._chance.choice(list(leaves({section: form[section] for section in ("header", "body")})))
        changed = _with(form, path, other_value(self._chance, _at(form, path)))
        try:
            read = to_object(spec.decode(spec.encode(from_object(spec, changed))))
        except RouterError as refused:
            self._refused(refused)
            return
        except Exception as error:
            self.score.wrong.append(f"{spec.name} {name}: {type(error).__name__} for {path} = {_at(changed, path)!r}")
            return
        self.score.accepted[name] += 1
        if not same(_at(changed, path), _at(read, path)):
            self.score.wrong.append(f"{spec.name} {name}: {path} was {_at(changed, path)!r} and became {_at(read, path)!r}")

    def _refused(self, refused: RouterError) -> None:
        self.score.codes.update(problem.code for problem in refused.problems) if isinstance(refused, FieldError) else None
        if not isinstance(refused, FieldError):
            self.score.codes[refused.code] += 1


def _at(form: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        form = form[step] if isinstance(form, list) or step in form else None
    return form


def _with(form: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy in which one value is another."""
    if not path:
        return value
    if isinstance(form, list):
        return [_with(inside, path[1:], value) if number == path[0] else inside for number, inside in enumerate(form)]
    return {name: _with(inside, path[1:], value) if name == path[0] else inside for name, inside in form.items()}
