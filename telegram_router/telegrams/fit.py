"""How well some bytes fit a message: which fields read, and how much that proves. What explaining and guessing are built on."""

# Rules this file keeps, all of them tested:
#
# 1. Proof is counted in bits against telegrams of other families, not against noise: digits and blanks are found in all of them and
#    prove little; a known key, a constant, a length and a date of our days prove much.
# 2. Nothing is raised for any bytes.

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from telegram_router.telegrams.fields import Binary, Code, Date, FieldFault, Filler, Fixed, Length, Number, Packed, Text, Time
from telegram_router.telegrams.layout import PlannedField

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

UNKNOWN_KEY: Final = 6.0  # bits that a key of no message takes away
WRONG_SIZE: Final = 6.0
FIRST_BAD: Final = 5.0  # one bad field is not rare in a telegram that somebody looks at; more of them are one mishap
MORE_BAD: Final = 1.5
_MOST_BAD: Final = 24.0
_ASKEW: Final = 3.0  # text that should begin with the field and does not
_YEARS: Final = range(1970, 2050)


@dataclass(frozen=True)
class Fit:
    """Some bytes, read as a message; without a message, as the header alone."""

    message: MessageLayout | None
    bad: tuple[PlannedField, ...]  # fields that do not read
    good: int  # fields that do
    missing: int  # bytes that the layout has more, negative: fewer
    proof: float  # bits
    structure: int = 0  # counts, items and views that contradict the bytes

    @property
    def problems(self) -> int:
        """To compare with: bad fields, a wrong size, and a key of no message, which hides a whole body."""
        return len(self.bad) + (self.missing != 0) + self.structure + (1000 if self.message is None else 0)


def fit(spec: Spec, telegram: bytes, message: MessageLayout | None = None) -> Fit:
    """How the bytes fit: as the message that their key says, or as the one given, whatever the key says."""
    layout = message or spec.message_of(bytes(spec.framing.prefix) + telegram)
    fields = fields_at(layout, telegram) if layout is not None else header_of(spec)
    bad: list[PlannedField] = []
    proof, good = 0.0, 0
    for planned in fields:
        part = telegram[planned.offset : None if planned.is_opaque else planned.end]
        bits = proof_of(planned, part, len(telegram))
        if bits is None:
            bad.append(planned)
        else:
            good, proof = good + 1, proof + bits
    missing = missing_bytes(layout, len(telegram)) if layout is not None else 0
    structure = len(layout.codec.structure_problems(telegram)) if layout is not None and not missing else 0
    wrong = len(bad) + structure
    if wrong:
        proof -= min(FIRST_BAD + MORE_BAD * (wrong - 1), _MOST_BAD)
    proof -= WRONG_SIZE * ((missing != 0) + (abs(missing) > 16)) + (UNKNOWN_KEY if layout is None else _key_choice(spec))
    return Fit(layout, tuple(bad), good, missing, proof, structure)


def fields_at(message: MessageLayout, telegram: bytes) -> Sequence[PlannedField]:
    """The fields of these very bytes."""
    return message.fields_of(telegram)


def header_of(spec: Spec) -> list[PlannedField]:
    """The header without what makes it a certain message."""
    some = next(iter(spec.messages.values()))
    return [planned for planned in some.fields if planned.section == "header" and planned.key is None]


def missing_bytes(message: MessageLayout, size: int) -> int:
    """Bytes that are missing, negative when there are too many."""
    least, most = message.codec.sizes()
    return max(least - size, 0) or (min(most - size, 0) if most is not None else 0)


def _key_choice(spec: Spec) -> float:
    """A key proves the less, the more keys there are."""
    return math.log2(max(len(spec.by_key), 1))


# --- proof --------------------------------------------------------------------------------------------------------


def proof_of(planned: PlannedField, part: bytes, total: int) -> float | None:
    """Bits that a field proves by what it holds; None when that is not allowed."""
    if len(part) < planned.length:
        return None
    try:
        value = planned.kind.read_in(part, total)
    except FieldFault:
        return None
    if isinstance(planned.kind, Filler):
        return min(1 + 0.1 * planned.length, 4.0) if not part.strip(b" \x40") else -1.0
    if value is None or value == "":
        return 0.2
    return _bits(planned, value, part)


def _bits(planned: PlannedField, value: object, part: bytes) -> float:
    kind = planned.kind
    if planned.key is not None:
        return 3.3 * len(planned.key)
    if isinstance(kind, Fixed):
        return min(4.0 * kind.length, 36.0)
    if isinstance(kind, Length):
        return 3.0 * kind.length
    if isinstance(kind, Date | Time):
        return _moment_bits(kind.form, str(value))
    if isinstance(kind, Code | Text) and str(value).startswith(" ") and getattr(kind, "align", "left") == "left":
        return -_ASKEW
    if isinstance(kind, Code):
        return _code_bits(kind)
    if isinstance(kind, Packed):
        return min(2 + 0.8 * kind.length, 8.0)
    if isinstance(kind, Binary):
        return 0.5 if kind.given_digits is None else 1.0
    if isinstance(kind, Number):
        return min(1 + 0.2 * kind.length, 3.0)
    return min(0.5 * _wide(str(value)), 5.0) if isinstance(kind, Text) else 0.0


def _moment_bits(form: str, text: str) -> float:
    bits = 3.0 if "hhmm" in form else 0.0
    if form.startswith("YYYY"):
        return bits + (11.0 if text[:4].isdecimal() and int(text[:4]) in _YEARS else 1.0)
    return bits + (4.0 if "MMDD" in form else 0.0)


def _code_bits(kind: Code) -> float:
    if kind.values is None:
        return min(1 + 0.2 * kind.length, 3.0) if kind.digits else 0.2
    return max(min(3.0 * kind.length - math.log2(max(len(kind.values), 1)), 12.0), 0.2)


def _wide(text: str) -> int:
    """Letters of scripts that a wrong code page does not give by accident."""
    return sum("가" <= each <= "힣" or "ぁ" <= each <= "ヿ" or "ｱ" <= each <= "ﾝ" for each in text)
