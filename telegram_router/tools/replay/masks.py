"""What may differ between an answer then and an answer now: masks, by message and field."""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from telegram_router.telegrams import MessageLayout, PlannedField, Spec
from telegram_router.telegrams.volatile import volatile_fields
from telegram_router.tools.predicate import as_text, numbers
from telegram_router.tools.replay.settings import SECOND, ReplayError, duration

ALWAYS: Final = frozenset({"present", "absent", "echo", "regex", "in", "mapped", "nondecreasing"})  # looked at even where nothing differs
KINDS: Final = ("ignore", "present", "absent", "echo", "regex", "in", "number", "time", "padded-equal", "mapped", "nondecreasing")


@dataclass(frozen=True)
class Seen:
    """One field of an answer, as masks look at it. Values are None where there is none; `asked` is the field of the request as sent."""

    recorded: Any
    got: Any
    recorded_raw: bytes
    got_raw: bytes
    asked_raw: bytes | None
    mapped: Any  # what the recorded value has become in this run; None where nobody knows
    highest: Any  # of this field so far, for nondecreasing


@dataclass(frozen=True)
class Mask:
    kind: str
    text: str
    holds: Callable[[Seen], bool]


def mask_of(text: str, where: str) -> Mask:
    """One mask as it stands in a file. Raises ReplayError."""
    word, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    try:
        holds = _made(word, rest)
    except (ValueError, ArithmeticError, re.error, ReplayError):
        holds = None
    if holds is None:
        known = "ignore, present, absent, echo, mapped, nondecreasing, padded-equal, regex PATTERN, in [A, B], number +-5, time +-5s"
        raise ReplayError("E-RPL-03", "the mask cannot be understood", where=where, expected=known)
    return Mask(word, text, holds)


def _made(word: str, rest: str) -> Callable[[Seen], bool] | None:
    if word in _PLAIN:
        return None if rest else _PLAIN[word]
    if word == "regex" and rest:
        pattern = re.compile(rest)
        return lambda seen: pattern.search(_text(seen.got)) is not None
    if word == "in" and rest.startswith("[") and rest.endswith("]"):
        allowed = {each.strip().strip("\"'") for each in rest[1:-1].split(",")}
        return lambda seen: _text(seen.got) in allowed
    if word == "number" and rest.startswith(("+-", "±")):
        tolerance = Decimal(rest.removeprefix("+-").removeprefix("±"))
        return lambda seen: _near(seen, tolerance)
    if word == "time" and rest.startswith(("+-", "±")):
        slack = duration(rest.removeprefix("+-").removeprefix("±"))
        return lambda seen: _soon(seen, slack)
    return None


def _text(value: Any) -> str:
    return "" if value is None else as_text(value)


def _near(seen: Seen, tolerance: Decimal) -> bool:
    both = numbers(seen.recorded, seen.got)
    return both is not None and abs(both[0] - both[1]) <= tolerance


def _soon(seen: Seen, slack: int) -> bool:
    then, now = _moment(_text(seen.recorded)), _moment(_text(seen.got))
    if then is None or now is None or then[1] != now[1]:
        return False
    apart = abs(now[0] - then[0])
    return min(apart, 86_400 * SECOND - apart if then[1] == 6 and apart <= 86_400 * SECOND else apart) <= slack


def _moment(text: str) -> tuple[int, int] | None:
    """Nanoseconds of a date, a time or both, and how many digits it has."""
    digits = "".join(each for each in text if each.isdecimal())
    try:
        day = datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).toordinal() if len(digits) in (8, 14) else 0
    except ValueError:
        return None
    clock = digits[8:] if len(digits) == 14 else digits if len(digits) == 6 else ""
    if not clock and len(digits) != 8:
        return None
    seconds = int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + int(clock[4:]) if clock else 0
    return (day * 86_400 + seconds) * SECOND, len(digits)


def _rising(seen: Seen) -> bool:
    if seen.got is None:
        return False
    if seen.highest is None:
        return True
    both = numbers(seen.highest, seen.got)
    return both[0] <= both[1] if both else _text(seen.highest) <= _text(seen.got)


def _is_mapped(seen: Seen) -> bool:
    return _text(seen.got) == _text(seen.recorded if seen.mapped is None else seen.mapped)


def _unpadded(raw: bytes) -> bytes:
    return raw.strip(b" \0\x40").lstrip(b"0")


_PLAIN: Final[Mapping[str, Callable[[Seen], bool]]] = {
    "ignore": lambda seen: True,
    "present": lambda seen: seen.got not in (None, ""),
    "absent": lambda seen: seen.got in (None, ""),
    "echo": lambda seen: seen.asked_raw == seen.got_raw,
    "padded-equal": lambda seen: _unpadded(seen.recorded_raw) == _unpadded(seen.got_raw),
    "mapped": _is_mapped,
    "nondecreasing": _rising,
}

_OF_ROLE: Final = {"clock": "ignore", "sequence": "mapped", "ref_of": "mapped", "issued": "ignore"}


class Masks:
    """All masks of a replay. Those of a file go before what the spec says is volatile, and that before what follows from rules:
    `rewritten` has masks by the name of a field that rules put something else into."""

    def __init__(self, given: Mapping[str, Mapping[str, Mask]] | None = None, rewritten: Mapping[str, str] | None = None) -> None:
        self._given = given or {}
        self._rewritten = rewritten or {}
        self._found: dict[str, dict[str, Mask]] = {}

    def of(self, message: MessageLayout) -> dict[str, Mask]:
        """By the path of the field."""
        found = self._found.get(message.name)
        if found is None:
            found = {path: mask_of(text, "") for name, text in self._rewritten.items() for path in _paths(message, name)}
            found |= {planned.path: mask_of(_OF_ROLE[volatile.role], "") for planned, volatile in volatile_fields(message)}
            for part in ("*", message.name):
                for name, mask in self._given.get(part, {}).items():
                    found |= dict.fromkeys(_paths(message, name), mask)
            self._found[message.name] = found
        return found


def _paths(message: MessageLayout, name: str) -> list[str]:
    return [planned.path for planned in message.fields if called(planned, name)]


def called(planned: PlannedField, name: str) -> bool:
    """Whether a name in a file of masks or rules means a field; [0] in a path stands for every item."""
    return bool(planned.name or "[" in planned.path) and name in (planned.path, planned.name, planned.path.partition(".")[2])


def read_masks(text: str, where: str, spec: Spec) -> dict[str, dict[str, Mask]]:
    """Masks of a TOML file, by message (or `*`) and field. Raises ReplayError for what it does not understand, with message and field."""
    made: dict[str, dict[str, Mask]] = {}
    for name, fields in tables(text, where, spec).items():
        for field, told in fields.items():
            at = f"{where}, [{name}] {field}"
            if not isinstance(told, str):
                raise ReplayError("E-RPL-03", "a mask is a text", where=at)
            made.setdefault(name, {})[field] = mask_of(told, at)
    return made


def tables(text: str, where: str, spec: Spec, *, besides: frozenset[str] = frozenset()) -> dict[str, dict[str, Any]]:
    """The tables of a TOML file, one for each message (or `*`), all of whose names the spec has. Raises ReplayError."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ReplayError("E-RPL-03", f"the file is no TOML: {error}", where=where) from None
    made: dict[str, dict[str, Any]] = {}
    for name, fields in _joined(found, spec, besides).items():
        if not isinstance(fields, dict) or (name != "*" and name not in spec.messages):
            do = f'write ["{name}"] with quotes' if isinstance(fields, dict) and "." not in name else ""
            raise ReplayError("E-RPL-03", f"{spec.name} has no message {name}", where=where, expected="a message of the spec, or *", do=do)
        messages = [*spec.messages.values()] if name == "*" else [spec.messages[name]]
        for field in fields:
            if not any(_paths(message, field) for message in messages):
                raise ReplayError("E-RPL-03", f"{name} has no field {field}", where=where, expected="a field's name or path")
        made[name] = fields
    return made


def _joined(found: dict[str, Any], spec: Spec, besides: frozenset[str]) -> dict[str, Any]:
    """[transfer.request] without quotes is a table in a table; it means the same."""
    made: dict[str, Any] = {}
    for name, value in found.items():
        if name in besides:
            continue
        inner = {f"{name}.{key}": below for key, below in value.items() if isinstance(below, dict)} if isinstance(value, dict) else {}
        if inner and name not in spec.messages and len(inner) == len(value):
            made |= inner
        else:
            made[name] = value
    return made
