"""Check digits of the numbers that people and companies are known by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

_RRN_WEIGHTS: Final = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
_BUSINESS_WEIGHTS: Final = (1, 3, 7, 1, 3, 7, 1, 3, 5)
_FOREIGNERS: Final = frozenset("5678")


def is_resident_number(digits: str) -> bool:
    """주민등록번호 and 외국인등록번호, 13 digits. Numbers given out since October 2020 have a last digit by chance: most fail."""
    if len(digits) != 13:
        return False
    rest = sum(int(digit) * weight for digit, weight in zip(digits[:12], _RRN_WEIGHTS, strict=True)) % 11
    return int(digits[12]) == ((13 if digits[6] in _FOREIGNERS else 11) - rest) % 10


def is_business_number(digits: str) -> bool:
    """사업자등록번호, 10 digits."""
    if len(digits) != 10:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits[:9], _BUSINESS_WEIGHTS, strict=True)) + int(digits[8]) * 5 // 10
    return int(digits[9]) == -total % 10


def is_luhn_number(digits: str) -> bool:
    """Card numbers, of any length: ISO/IEC 7812-1, annex B."""
    doubled = "0246813579"
    return sum(int(doubled[int(digit)] if place % 2 else digit) for place, digit in enumerate(reversed(digits))) % 10 == 0


CHECKS: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "rrn": (is_resident_number, "a resident number"),
    "business": (is_business_number, "a business registration number"),
    "luhn": (is_luhn_number, "a card number"),
}
