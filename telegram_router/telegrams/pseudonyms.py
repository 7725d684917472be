"""Pseudonyms: other values of the same shape, the same ones each time under one key, and no two values with the same."""

# Rules this file keeps, all of them tested:
#
# 1. Every mapping here is one-to-one on all values of one shape: what was unique stays unique, and joins survive.
# 2. What looks like a resident number, a card or a mobile phone becomes something of the same size and check digit that nobody can
#    have: months 21 to 32, cards that begin with 0, 1, 7 or 8, phones that begin with 09. So whoever searches for survivors
#    finds none, and nobody is rung up by a test. The few values that look like that already are given the places left free.
# 3. It is a Feistel network with a keyed hash (blake2b), not NIST's FF1; the domains are what the shapes give, of any size.

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final, NamedTuple

from telegram_router.telegrams.fields.checks import is_luhn_number, is_resident_number

ROUNDS: Final = 10
_LARGEST: Final = 1 << 400  # domains beyond it are permuted piece by piece
_PHONE_THIRD: Final = "016789"
_CARDS: Final = "3456"
_NO_CARDS: Final = "0178"
_DAYS: Final = [f"{month:02d}{day:02d}" for month, last in enumerate((31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), 1)
                for day in range(1, last + 1)]  # fmt: skip
_PLACE_OF_DAY: Final = {day: place for place, day in enumerate(_DAYS)}


class Letters(NamedTuple):
    """Characters that stand for each other: of one script and one size."""

    characters: Sequence[str]
    places: dict[str, int]


class Pseudonyms:
    """The permutations of one key."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key, digest_size=32, person=b"tr-pseudonyms").digest()
        self._hmac_key = hashlib.blake2b(key, digest_size=32, person=b"tr-hmac").digest()
        self.key_id = hashlib.blake2b(key, digest_size=4, person=b"tr-key-id").hexdigest()

    def digest(self, data: bytes) -> str:
        """What is kept of bytes that may not be shown: equal for equal bytes."""
        return hashlib.blake2b(data, key=self._hmac_key, digest_size=16).hexdigest()

    def place(self, value: int, size: int, domain: bytes) -> int:
        """Another whole number from 0 below `size`."""
        left = math.isqrt(size - 1) + 1 if size > 1 else 1
        right = -(-size // left)
        while True:  # it comes back to what is below size, since a permutation has cycles
            a, b = divmod(value, right)
            for turn in range(0, ROUNDS, 2):
                a = (a + self._noise(domain, turn, b, left)) % left
                b = (b + self._noise(domain, turn + 1, a, right)) % right
            value = a * right + b
            if value < size:
                return value

    def _noise(self, domain: bytes, turn: int, value: int, size: int) -> int:
        data = b"%b\0%d\0%x\0%x" % (domain, turn, size, value)
        return int.from_bytes(hashlib.blake2b(data, key=self._key, digest_size=min(64, 12 + size.bit_length() // 8)).digest(), "big")

    # -- digits

    def digits(self, text: str) -> str:
        """As many other digits."""
        shape = shape_of(text)
        if shape is not None:
            return self._shaped(text, *shape)
        while True:
            text = f"{self.place(int(text), 10 ** len(text), b'digits%d' % len(text)):0{len(text)}d}"
            if shape_of(text) is None:
                return text

    def _shaped(self, text: str, kind: str, genuine: bool) -> str:
        """The pseudonym of what looks genuine is one that cannot be; and the other way round, which keeps it one-to-one."""
        if kind == "rrn":
            day = _DAYS.index(text[2:6]) if genuine else _DAYS.index(f"{int(text[2:4]) - 20:02d}{text[4:6]}")
            value = ((int(text[:2]) * len(_DAYS) + day) * 8 + int(text[6]) - 1) * 100_000 + int(text[7:12])
            value, serial = divmod(self.place(value, 100 * len(_DAYS) * 8 * 100_000, b"rrn"), 100_000)
            value, sex = divmod(value, 8)
            year, day = divmod(value, len(_DAYS))
            month = int(_DAYS[day][:2]) + (20 if genuine else 0)
            return _checked(f"{year:02d}{month:02d}{_DAYS[day][2:]}{sex + 1}{serial:05d}", is_resident_number)
        if kind == "card":
            ours, other = (_CARDS, _NO_CARDS) if genuine else (_NO_CARDS, _CARDS)
            rest = 10 ** (len(text) - 2)
            value = ours.index(text[0]) * rest + int(text[1:-1])
            first, inner = divmod(self.place(value, 4 * rest, b"card%d" % len(text)), rest)
            return _checked(f"{other[first]}{inner:0{len(text) - 2}d}", is_luhn_number)
        size = len(text) - 3
        prefix = _PHONE_THIRD.index(text[2]) * 10**size + int(text[3:])
        third, rest = divmod(self.place(prefix, len(_PHONE_THIRD) * 10**size, b"phone%d" % size), 10**size)
        return f"0{9 if genuine else 1}{_PHONE_THIRD[third]}{rest:0{size}d}"

    # -- text

    def text(self, text: str, encoding: str) -> str | None:
        """Another text with the same blanks and signs, whose characters are of the same scripts and sizes. None where it has letters
        of a script that has no table here."""
        numbers = text.replace("-", "").replace(" ", "")
        if numbers.isascii() and numbers.isdecimal():
            return _laid_over(text, self.digits(numbers))
        classes = [letters_of(character, encoding) for character in text]
        if any(found is None and character.isalnum() for found, character in zip(classes, text, strict=True)):
            return None
        places = [index for index, found in enumerate(classes) if found is not None]
        made, shape = list(text), "".join("." if found is None else found.characters[0] for found in classes)
        domain = b"text" + hashlib.blake2b(shape.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for piece in _pieces(places, [0 if found is None else len(found.characters) for found in classes]):
            value, size = 0, 1
            for index in piece:
                found = classes[index]
                assert found is not None
                value, size = value * len(found.characters) + found.places[text[index]], size * len(found.characters)
            was = "".join(text[index] for index in piece)
            value = self.place(value, size, domain)
            domain = hashlib.blake2b(domain + was.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            for index in reversed(piece):
                found = classes[index]
                assert found is not None
                value, place = divmod(value, len(found.characters))
                made[index] = found.characters[place]
        return "".join(made)


def _pieces(places: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """Characters to be permuted together. What follows hangs on what was before, so that equal pieces do not show."""
    piece: list[int] = []
    size = 1
    for index in places:
        if piece and size * sizes[index] > _LARGEST:
            yield piece
            piece, size = [], 1
        piece.append(index)
        size *= sizes[index]
    if piece:
        yield piece


def _laid_over(text: str, digits: str) -> str:
    """A text with other digits in the places of its own."""
    left = iter(digits)
    return "".join(next(left) if character.isdecimal() else character for character in text)


def _checked(front: str, is_right: object) -> str:
    assert callable(is_right)
    return next(front + last for last in "0123456789" if is_right(front + last))


# --- what people's numbers look like ----------------------------------------------------------------------------------


def shape_of(digits: str) -> tuple[str, bool] | None:
    """What some digits look like, and whether it may be genuine, or only the pseudonym of what is; None: nothing that is known."""
    size = len(digits)
    if size == 13 and digits[6] in "12345678":
        month = digits[2:4]
        shown = month if month <= "12" else f"{int(month) - 20:02d}" if "21" <= month <= "32" else "00"
        return ("rrn", month <= "12") if shown + digits[4:6] in _PLACE_OF_DAY and is_resident_number(digits) else None
    if size in (15, 16) and digits[0] in _CARDS + _NO_CARDS:
        return ("card", digits[0] in _CARDS) if is_luhn_number(digits) else None
    if size in (10, 11) and digits[0] == "0" and digits[1] in "19" and digits[2] in _PHONE_THIRD:
        return "phone", digits[1] == "1"
    return None


# --- scripts ----------------------------------------------------------------------------------------------------------

_SCRIPTS: Final = (
    ("0", "9"), ("A", "Z"), ("a", "z"), ("가", "힣"), ("ぁ", "ん"), ("ァ", "ヶ"), ("ｱ", "ﾝ"), ("ｦ", "ｯ"), ("０", "９"), ("Ａ", "Ｚ"),
    ("ａ", "ｚ"), ("ㄱ", "ㅣ"), ("一", "鿿"), ("豈", "舘"),
)  # fmt: skip


@cache
def letters_of(character: str, encoding: str) -> Letters | None:
    """What may stand in a character's place; None for signs and blanks, and for letters of other scripts."""
    script = next(((low, high) for low, high in _SCRIPTS if low <= character <= high), None)
    if script is None:
        return None
    return next((found for found in _tables(*script, encoding) if character in found.places), None)


@cache
def _tables(low: str, high: str, encoding: str) -> tuple[Letters, ...]:
    """A script's characters by size; of Hangul those of KS X 1001 apart, which every Korean page has."""
    groups: dict[tuple[int, bool], list[str]] = {}
    for code in range(ord(low), ord(high) + 1):
        character = chr(code)
        size = _size(character, encoding)
        if size:
            groups.setdefault((size, low == "가" and _size(character, "euc_kr") == 2), []).append(character)
    return tuple(Letters(found, {character: place for place, character in enumerate(found)}) for found in groups.values())


def _size(character: str, encoding: str) -> int:
    """Bytes of a character; 0 where the encoding does not have it, or gives another one back."""
    try:
        raw = character.encode(encoding)
        return len(raw) if raw.decode(encoding) == character else 0
    except UnicodeError:
        return 0
