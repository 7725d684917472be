"""Valid telegrams out of nothing but a spec: realistic ones from a seed, and the way to make values for whoever picks them otherwise."""

# Rules this file keeps, all of them tested:
#
# 1. The same seed gives the same bytes on every machine and with every Python. Telegram N does not depend on how many are made.
# 2. All data is made up: names from a list of common ones, numbers of no bank.
# 3. What is generated can be encoded, and decoding gives the same values.

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

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
from telegram_router.telegrams.fields import Code, Fixed, Kind, Length, Text
from telegram_router.telegrams.layout import IN_HEADER, Node, PlannedField, PlannedGroup, PlannedTable, PlannedViews, Reference
from telegram_router.telegrams.telegram import Telegram
from telegram_router.telegrams.walk import choice

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

T = TypeVar("T")


class Picker(Protocol):
    """Who decides: a stream of chance, or hypothesis."""

    def value(self, planned: PlannedField, domain: Domain) -> Any:
        """A value of the domain."""

    def count(self, least: int, most: int) -> int:
        """How many items of a table, both bounds included."""

    def one_of(self, options: Sequence[T]) -> T: ...


def sample(spec: Spec, message: str | None = None, seed: object = 0, number: int = 0) -> Telegram:
    """The `number`-th realistic telegram of a seed; of any message of the spec where none is named.

    Raises KeyError for a message that the spec does not have.
    """
    chance = Chance(spec.name, message or "", seed, number)
    name = chance.one_of([*spec.messages]) if message is None else message
    return made(spec.messages[name], Realistic(chance, spec.messages[name], number + 1))


def made(message: MessageLayout, picker: Picker) -> Telegram:
    """A valid telegram of a message, its values picked one by one."""
    maker = _Maker(message, picker)
    header = maker.group([node for node in message.tree if node.section == "header"])
    body = maker.group([node for node in message.tree if node.section == "body"])
    _move_into_windows(message, header, body)
    return _with_lengths(Telegram(message.spec, message, header, body))


class _Maker:
    """Picks values group by group: fields first, then the views that they choose."""

    def __init__(self, message: MessageLayout, picker: Picker) -> None:
        self._picker = picker
        self._scopes: list[dict[str, Any]] = []
        self._header: dict[str, Any] | None = None
        self._tables: dict[str, list[PlannedTable]] = {}  # by the path of the field that counts them
        self._views: dict[str, list[PlannedViews]] = {}  # by the path of the field that chooses
        self._note(message.tree)

    def _note(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            if isinstance(node, PlannedGroup):
                self._note(node.members)
            elif isinstance(node, PlannedTable):
                self._tables.setdefault(node.depending or "", []).append(node)
                self._note([node.item])
            elif isinstance(node, PlannedViews):
                self._views.setdefault(node.by or "", []).append(node)
                self._note(view for _, view in node.views)

    def group(self, nodes: Sequence[Node]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        self._scopes.append(values)
        if self._header is None:
            self._header = values
        for node in nodes:
            if not isinstance(node, PlannedViews) and node.name and not isinstance(getattr(node, "kind", None), Length):
                values[node.name] = self._value(node)
        for node in nodes:
            if isinstance(node, PlannedViews):
                values |= self._view(node)
        self._scopes.pop()
        return values

    def _value(self, node: Node) -> Any:
        if isinstance(node, PlannedGroup):
            return self.group(node.members)
        if isinstance(node, PlannedTable):
            count = node.most if node.counter is None else self._seen(node.counter)
            return [self._value(node.item) for _ in range(count)]
        assert isinstance(node, PlannedField)
        return self._field(node)

    def _field(self, planned: PlannedField) -> Any:
        if planned.key is not None:
            return planned.key
        if planned.path in self._tables:
            tables = self._tables[planned.path]
            return self._picker.count(max(table.least for table in tables), min(table.most for table in tables))
        domain = domain_of(planned.kind)
        if planned.path in self._views:
            return self._choosing(planned, domain, self._views[planned.path])
        return self._picker.value(planned, domain)

    def _choosing(self, planned: PlannedField, domain: Domain, views: Sequence[PlannedViews]) -> Any:
        """A value for which each of the places that it decides on has a view."""
        dates = sorted({first for each in views if each.kind == "date" for first, _ in each.views})
        if dates and isinstance(domain.what, Moment):
            place = self._picker.one_of(range(len(dates)))
            first = max(_day(dates[place]), domain.what.first)
            last = _day(dates[place + 1]) - datetime.timedelta(1) if place + 1 < len(dates) else domain.what.last
            return self._picker.value(planned, Domain(replace(domain.what, first=first, last=last)))
        cases = [*dict.fromkeys(value for each in views for value in each.when)]
        cases = [value for value in cases if all(value in each.when or each.default is not None for each in views)]
        free = all(each.default is not None for each in views)
        if cases and not (free and self._picker.one_of([False, False, True])):
            return self._picker.one_of(cases)
        return self._picker.value(planned, domain if free else Domain(domain.what))

    def _view(self, views: PlannedViews) -> dict[str, Any]:
        if views.chooser is None:
            name: str | None = views.views[0][0]
        else:
            name, _ = choice(views, self._seen(views.chooser))
        if name is None:
            return {}
        node, _ = views.view(name)
        if views.kind == "date" and isinstance(node, PlannedGroup):
            return self.group(node.members)
        return {name: self._value(node)} if node.name else {}

    def _seen(self, reference: Reference) -> Any:
        scope = self._header if reference.up == IN_HEADER else self._scopes[-1 - reference.up]
        return (scope or {})[reference.field.name]


def _day(first: str) -> datetime.date:
    """The first day of a version, as it is declared."""
    return datetime.date(int(first[:4]), int(first[4:6]), int(first[6:8])) if first else datetime.date.min


def _move_into_windows(message: MessageLayout, header: dict[str, Any], body: dict[str, Any]) -> None:
    """A date that lies too far from the header's gets its day."""
    for window in message.windows.all:
        what, day = domain_of(window.planned.kind).what, window.centre(header)
        if window.fault(header, body) is not None and isinstance(what, Moment) and day is not None:
            (header if window.planned.section == "header" else body)[window.planned.name] = what.text(day, 0)


def _with_lengths(telegram: Telegram) -> Telegram:
    """Length fields follow from all others, but a telegram that is read has them."""
    lengths = [planned for planned in telegram.message.fields if planned.name and isinstance(planned.kind, Length)]
    if not lengths:
        return telegram
    read = telegram.message.decode(telegram.message.encode(telegram.header, telegram.body))
    for planned in lengths:
        mine, its = (telegram.header, read.header) if planned.section == "header" else (telegram.body, read.body)
        mine[planned.name] = its[planned.name]
    # In the order of the layout, as a telegram that was read has them.
    telegram.header = {name: telegram.header[name] for name in read.header}
    telegram.body = {name: telegram.body[name] for name in read.body}
    return telegram


# --- realistic values ---------------------------------------------------------------------------------------------

_KOREAN: Final = ("김", "이", "박", "최", "정", "강", "조", "윤", "장", "임")
_KOREAN_GIVEN: Final = ("서준", "하윤", "도윤", "지우", "민준", "서연", "예준", "수아", "길동", "은지", "동호", "미경")
_KOREAN_FIRMS: Final = ("가나다상사", "한빛물산", "(주)새벽", "늘봄병원", "샘플전자", "푸른식품")
_KOREAN_MEMOS: Final = ("급여", "관리비", "회비", "임대료", "보험료", "용돈", "물품대금", "정산")
_KANA: Final = ("ﾔﾏﾀﾞ", "ｻﾄｳ", "ｽｽﾞｷ", "ﾀﾅｶ", "ﾜﾀﾅﾍﾞ", "ｲﾄｳ")
_KANA_GIVEN: Final = ("ﾀﾛｳ", "ﾊﾅｺ", "ｼﾞﾛｳ", "ﾕｷ", "ｹﾝｼﾞ", "ﾏﾘ")
_LATIN: Final = ("KIM", "LEE", "PARK", "SMITH", "TANAKA", "MILLER", "CHOI")
_LATIN_GIVEN: Final = ("MINJUN", "SEOYEON", "JOHN", "HANAKO", "MARY", "JIWOO")
_LATIN_MEMOS: Final = ("SALARY", "RENT", "INVOICE 0042", "INSURANCE", "FEES", "REFUND")
_CAPITALS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_FIRST_DAY: Final = datetime.date(2025, 1, 1)
_LAST_DAY: Final = datetime.date(2026, 12, 31)
_FEW: Final = 4  # items of a table beyond the fewest
_ROUND: Final = (1, 1, 10, 100, 1000, 10000)
_NUMBERED: Final = ("account", "number", "code", "id_")
_OUTCOMES: Final = ("response", "error", "result")
_PERSONS: Final = ("name", "holder", "depositor", "payee", "payer", "borrower", "customer", "owner")


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
        chance, kind = self._chance, planned.kind
        person = any(word in planned.name for word in _PERSONS)
        if _writes(kind, "가"):
            named = chance.one_of(_KOREAN) + chance.one_of(_KOREAN_GIVEN)
            return chance.one_of((named, named, named, chance.one_of(_KOREAN_FIRMS))) if person else chance.one_of(_KOREAN_MEMOS)
        if _writes(kind, "ｱ"):
            return f"{chance.one_of(_KANA)} {chance.one_of(_KANA_GIVEN)}"
        return f"{chance.one_of(_LATIN)} {chance.one_of(_LATIN_GIVEN)}" if person else chance.one_of(_LATIN_MEMOS)


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
