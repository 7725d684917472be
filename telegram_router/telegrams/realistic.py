"""Values as they might be in a telegram of a working day, by what its fields are called. All data is made up: names from lists of
common ones, numbers of no bank."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from telegram_router.telegrams.chance import Chance
from telegram_router.telegrams.domains import (
    DIGITS,
    Characters,
    Choice,
    Domain,
    Moment,
    Number,
    Octets,
    Real,
    Subset,
    What,
    domain_of,
    fitted,
    holds,
)
from telegram_router.telegrams.fields import Code, Fixed, Kind, Text
from telegram_router.telegrams.layout import PlannedField

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout

T = TypeVar("T")

_CAPITALS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_FIRST_DAY: Final = datetime.date(2025, 1, 1)
_LAST_DAY: Final = datetime.date(2026, 12, 31)
_FEW: Final = 4  # items of a table beyond the fewest
_ROUND: Final = (1, 1, 10, 100, 1000, 10000)
_NUMBERED: Final = ("account", "number", "code", "id_")
_OUTCOMES: Final = ("response", "error", "result")
_BANKS: Final = ("bank", "branch")
_FIRMS: Final = ("company", "firm", "client", "merchant")
_PERSONS: Final = ("name", "holder", "depositor", "payee", "payer", "borrower", "customer", "owner")


class Words(NamedTuple):
    """What a field may say in one language. All of it is made up."""

    family: Sequence[str]
    given: Sequence[str]
    between: str
    firms: Sequence[str]
    banks: Sequence[str]
    memos: Sequence[str]


KOREAN: Final = Words(
    family=("김", "이", "박", "최", "정", "강", "조", "윤", "장", "임"),
    given=("서준", "하윤", "도윤", "지우", "민준", "서연", "예준", "수아", "길동", "은지", "동호", "미경"),
    between="",
    firms=("가나다상사", "한빛물산", "(주)새벽", "늘봄병원", "샘플전자", "푸른식품"),
    banks=("가상은행", "샘플은행", "시험은행", "강남", "부산", "본점"),
    memos=("급여", "관리비", "회비", "임대료", "보험료", "용돈", "물품대금", "정산"),
)
KANA: Final = Words(
    family=("ﾔﾏﾀﾞ", "ｻﾄｳ", "ｽｽﾞｷ", "ﾀﾅｶ", "ﾜﾀﾅﾍﾞ", "ｲﾄｳ"),
    given=("ﾀﾛｳ", "ﾊﾅｺ", "ｼﾞﾛｳ", "ﾕｷ", "ｹﾝｼﾞ", "ﾏﾘ"),
    between=" ",
    firms=("ｶ)ﾃｽﾄｼﾖｳｼﾞ", "ﾕ)ｻﾝﾌﾟﾙ", "ﾔﾏﾀﾞｼﾖｳﾃﾝ"),
    banks=("ﾃｽﾄ", "ｻﾝﾌﾟﾙ", "ﾎﾝﾃﾝ", "ｷﾀ", "ﾐﾅﾐ"),
    memos=("ｷﾕｳﾖ", "ﾔﾁﾝ", "ﾎｹﾝﾘﾖｳ", "ﾀﾞｲｷﾝ"),
)
LATIN: Final = Words(
    family=("KIM", "LEE", "PARK", "SMITH", "TANAKA", "MILLER", "CHOI"),
    given=("MINJUN", "SEOYEON", "JOHN", "HANAKO", "MARY", "JIWOO"),
    between=" ",
    firms=("TEST TRADING CO", "SAMPLE FOODS LTD", "NEW DAWN INC"),
    banks=("TEST BANK", "SAMPLE BANK", "HEAD OFFICE", "SOUTH", "NORTH"),
    memos=("SALARY", "RENT", "INVOICE 0042", "INSURANCE", "FEES", "REFUND"),
)


class Realistic:
    """Values as they might be in the `number`-th telegram of a working day, by what the field is called."""

    def __init__(self, chance: Chance, message: MessageLayout, number: int) -> None:
        self._chance = chance
        self._is_reply = message.kind == "reply"
        self._number = number
        self._numbered = _numbered(message)

    def count(self, least: int, most: int) -> int:
        return self._chance.between(least, min(most, least + _FEW))

    def one_of(self, options: Sequence[T]) -> T:
        return self._chance.one_of(options)

    def value(self, planned: PlannedField, domain: Domain) -> Any:
        what = domain.what
        if planned.path in self._numbered:
            return self._serial(what)
        if domain.absent and self._left_blank(planned):
            return domain.absent[0]
        if isinstance(what, Choice):
            return what.values[0] if isinstance(planned.kind, Fixed) else self._chance.one_of(what.values)
        if isinstance(what, Number):
            return what.value(self._units(what))
        if isinstance(what, Real):
            return what.value(self._chance.below(10**what.digits), -2)
        if isinstance(what, Moment):
            return self._moment(what)
        if isinstance(what, Subset):
            return [name for name in what.names if self._chance.once_in(2)]
        if isinstance(what, Octets):
            return self._bytes(what)
        return self._text(planned, what, domain)

    def _serial(self, what: What) -> Any:
        """Telegrams of one seed are numbered one after the other, so that their correlation keys differ."""
        if isinstance(what, Number):
            return what.value(self._number % (what.most + 1))
        width = what.most if isinstance(what, Characters) else 0
        return f"{self._number % 10**width:0{width}d}"

    def _left_blank(self, planned: PlannedField) -> bool:
        if isinstance(planned.kind, Fixed):
            return False
        if _tells_outcome(planned):
            return not self._is_reply
        return planned.section == "body" and self._chance.once_in(12)

    def _units(self, number: Number) -> int:
        """Small amounts are more frequent than large ones, round ones than others."""
        if number.most < 100:  # a counter rather than an amount
            return max(min(self._chance.between(1, 3), number.most), number.least)
        digits = self._chance.between(1, len(str(number.most)))
        units = self._chance.below(10**digits)
        units -= units % self._chance.one_of(_ROUND)
        units = min(units, number.most)
        return max(-units, number.least) if number.least < 0 and self._chance.once_in(6) else max(units, number.least)

    def _moment(self, moment: Moment) -> str:
        """In our days where the form has them, in office hours."""
        first, last = max(moment.first, _FIRST_DAY), min(moment.last, _LAST_DAY)
        if first > last:
            first, last = max(moment.first, moment.last - (_LAST_DAY - _FIRST_DAY)), moment.last
        day = first + datetime.timedelta(self._chance.below((last - first).days + 1))
        return moment.text(day, self._chance.between(9 * 3600, 18 * 3600 - 1) * 1_000_000)

    def _bytes(self, octets: Octets) -> bytes:
        most = octets.least + 64 if octets.most is None else min(octets.most, octets.least + 64)
        return "".join(self._chance.one_of(_CAPITALS) for _ in range(self._chance.between(octets.least, most))).encode("ascii")

    def _text(self, planned: PlannedField, characters: Characters, domain: Domain) -> str:
        kind = planned.kind
        text = self._code(planned, characters) if isinstance(kind, Code) else self._words(planned)
        found = fitted(kind, text)
        if found is not None and (found or "" in domain.absent):
            return found
        # Nothing of it fits: a field that holds digits only, say.
        return next(each for each in ("A", "0", "1", "가", "") if holds(kind, each * max(characters.least, 1))) * max(characters.least, 1)

    def _code(self, planned: PlannedField, characters: Characters) -> str:
        if _tells_outcome(planned):
            return "0" * characters.most
        if "count" in planned.name.split("_"):
            return self._digits(characters.most - 1) + "1" if characters.alphabet == DIGITS else "1"
        if characters.alphabet == DIGITS or (characters.most <= 4 and "code" in planned.name):
            return self._digits(characters.most)
        if characters.most >= 6 and any(word in planned.name for word in _NUMBERED):
            return self._digits(min(characters.most, self._chance.between(10, 14)))
        letters = min(characters.most, 3)
        return "".join(self._chance.one_of(_CAPITALS) for _ in range(letters)) + self._digits(min(characters.most - letters, 5))

    def _digits(self, count: int) -> str:
        return f"{self._chance.below(10**count):0{count}d}" if count else ""

    def _words(self, planned: PlannedField) -> str:
        chance, kind, name = self._chance, planned.kind, planned.name
        if "phone" in name:
            return f"02{self._digits(8)}"
        if kind.length >= 6 and "name" not in name and any(word in name for word in _NUMBERED):
            return self._digits(min(kind.length, chance.between(10, 14)))
        language = KOREAN if _writes(kind, "가") else KANA if _writes(kind, "ｱ") else LATIN
        return self._in_words(name, language)

    def _in_words(self, name: str, words: Words) -> str:
        """What a field of that name may say."""
        chance = self._chance
        if any(word in name for word in _BANKS):
            return chance.one_of(words.banks)
        if any(word in name for word in _FIRMS):
            return chance.one_of(words.firms)
        if any(word in name for word in _PERSONS):
            person = chance.one_of(words.family) + words.between + chance.one_of(words.given)
            return chance.one_of(words.firms) if chance.once_in(4) else person
        return chance.one_of(words.memos)


def _numbered(message: MessageLayout) -> frozenset[str]:
    """The correlation fields that count telegrams: numbers of at least four digits, all zeros at the front."""
    names = message.spec.family.correlation
    return frozenset(f.path for f in message.fields if f.section == "header" and f.name in names and f.key is None and _counts(f))


def _counts(planned: PlannedField) -> bool:
    what = domain_of(planned.kind).what
    if isinstance(what, Characters):
        return what.alphabet == DIGITS and what.most >= 4
    return isinstance(what, Number) and what.scale == 0 and what.least <= 0 and what.most >= 9999


def _tells_outcome(planned: PlannedField) -> bool:
    return any(word in planned.name for word in _OUTCOMES)


def _writes(kind: Kind, text: str) -> bool:
    return isinstance(kind, Text) and holds(kind, text)
