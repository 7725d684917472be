"""Valid telegrams out of nothing but a spec: realistic ones from a seed, and the way to make values for whoever picks them otherwise."""

# Rules this file keeps, all of them tested:
#
# 1. The same seed gives the same bytes on every machine and with every Python. Telegram N does not depend on how many are made.
# 2. What is generated can be encoded, and decoding gives the same values.

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from telegram_router.telegrams.chance import Chance
from telegram_router.telegrams.domains import Domain, Moment, domain_of
from telegram_router.telegrams.fields import Length
from telegram_router.telegrams.layout import IN_HEADER, Node, PlannedField, PlannedGroup, PlannedTable, PlannedViews, Reference
from telegram_router.telegrams.realistic import Realistic
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
