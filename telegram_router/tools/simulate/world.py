"""All that a scenario knows while it runs: stores, tables, counters, machines, the clock and its chance."""

from __future__ import annotations

import datetime
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import ModuleType
from typing import Any

from telegram_router.telegrams import Spec
from telegram_router.tools.predicate import as_text, numbers
from telegram_router.tools.simulate import scenario as model
from telegram_router.tools.simulate.chance import Draws
from telegram_router.tools.simulate.learned import Learned
from telegram_router.tools.simulate.script import Script
from telegram_router.tools.simulate.seen import Seen, wall_clock
from telegram_router.tools.simulate.states import Counting, Machine, Row, Store, plain
from telegram_router.tools.simulate.templates import NoValue, Template


@dataclass(frozen=True)
class Prepared:
    """A scenario with everything that it names, read and checked."""

    scenario: model.Scenario
    spec: Spec
    file: str = ""
    rows: Mapping[str, Mapping[str, Row]] = field(default_factory=dict)  # of stores and tables, as `state.NAME` and `table.NAME`
    recorded: Mapping[tuple[str, str], tuple[bytes, bytes]] = field(default_factory=dict)  # request and reply, by capture and exchange
    taken: Mapping[tuple[str, str], tuple[float, ...]] = field(default_factory=dict)  # seconds, by capture and message
    learned: Learned | None = None
    hooks: ModuleType | None = None
    lines: Mapping[str, int] = field(default_factory=dict)  # of `rule.0` and the like
    script: Script | None = None  # what a client of a capture sends
    remarks: tuple[str, ...] = ()  # what whoever starts it should know of its files
    damaged: bool = False  # its capture is
    spec_sha256: str | None = None

    @property
    def name(self) -> str:
        return self.scenario.scenario.name

    def with_changes(self, **changes: Any) -> Prepared:
        """The same with other keys of `[scenario]`."""
        about = self.scenario.scenario.model_copy(update=changes)
        return replace(self, scenario=self.scenario.model_copy(update={"scenario": about}))

    def place(self, kind: str, index: int) -> str:
        """Where a rule stands, as an editor takes it."""
        line = self.lines.get(f"{kind}.{index}")
        return f"{self.file}:{line}" if line else self.file


class World:
    def __init__(self, prepared: Prepared, seed: int, began: float, start: datetime.datetime) -> None:
        self._scenario = scenario = prepared.scenario
        self.draws = Draws(seed, prepared.name)
        self.began = began
        self._start = start
        own = {name: table for name, table in scenario.state.items() if table.of is None}
        self.stores = {
            name: Store(
                {**prepared.rows.get(f"state.{name}", {}), **{key: plain(row) for key, row in table.rows.items()}},
                plain(table.default) or None, table.most, table.ttl,
            )
            for name, table in own.items()
        }  # fmt: skip
        self._by_name = {name: self.stores[table.of or name] for name, table in scenario.state.items()}
        self._keys = {name: (table.keys, table.key) for name, table in scenario.state.items()}
        self._tables = {name: prepared.rows.get(f"table.{name}", {}) for name in scenario.table}
        self.counters = {name: Counting(each.start, each.step, each.per == "connection") for name, each in scenario.counter.items()}
        self.machines = {name: Machine(each.start, each.most, each.ttl) for name, each in scenario.machine.items()}

    def wall(self, at: float) -> datetime.datetime:
        return wall_clock(self._start, self.began, at)

    def counter(self, name: str) -> Counting:
        found = self.counters.get(name)
        if found is None:
            found = self.counters[name] = Counting()
        return found

    def value(self, kind: str, name: str, column: str, seen: Seen) -> Any:
        """A value of a row of a store or table; without a column, whether there is such a row."""
        row = self._row(kind, name, seen)
        if row is None or not column:
            return True if row is not None and not column else None
        return row.get(column)

    def _row(self, kind: str, name: str, seen: Seen) -> Row | None:
        if kind == "table":
            table = self._scenario.table.get(name)
            key = seen.key(table.key) if table is not None else None
            return self._tables[name].get(key) if key is not None else None
        key = self.row_key(name, seen)
        return None if key is None else self.store(name).row(key, seen.at)

    def store(self, name: str) -> Store:
        """The rows of a store, or of the one that it is another key of."""
        return self._by_name[name]

    def row_key(self, name: str, seen: Seen) -> str | None:
        keys, key = self._keys[name]
        if keys and seen.message is not None:
            key = keys.get(seen.message.name, key)
        return seen.key(key)

    def update(self, path: str, value: Template, seen: Seen, at: float) -> None:
        """Do what a rule says under `update`. Raises NoValue."""
        _, name, column = path.split(".", 2)
        key = self.row_key(name, seen)
        if key is None:
            raise NoValue(f"the key of state.{name}")
        sign = value.text[:1]
        if sign not in ("-", "+"):
            self.store(name).set(key, column, value.filled(seen.filling(at, path)), at)
            return
        amount = _amount(value, seen, at, path)
        self.store(name).change(key, column, -amount if sign == "-" else amount, at)

    # --- machines

    def machine_state(self, name: str, seen: Seen) -> str | None:
        machine = self.machines.get(name)
        key = self._machine_key(name, seen) if machine is not None else None
        return machine.state(key, seen.at) if machine is not None and key is not None else None

    def go(self, name: str, state: str, seen: Seen) -> None:
        key = self._machine_key(name, seen)
        if key is not None:
            self.machines[name].go(key, state, seen.at)

    def move_on(self, seen: Seen) -> None:
        """Take the transitions that a telegram makes."""
        for name, machine in self._scenario.machine.items():
            state = self.machine_state(name, seen)
            for step in machine.transition:
                if step.source in (None, state) and step.on.holds(seen):
                    self.go(name, step.to, seen)
                    break

    def _machine_key(self, name: str, seen: Seen) -> Hashable:
        table = self._scenario.machine[name]
        if table.key is not None:
            return seen.key(table.key)
        return seen.connection if table.per == "connection" else "all"

    # --- from outside

    def forget(self, connection: int) -> None:
        """A connection has ended."""
        for counting in self.counters.values():
            counting.forget(connection)
        for name, machine in self.machines.items():
            table = self._scenario.machine[name]
            if table.key is None and table.per == "connection":
                machine.forget(connection)

    def shown(self, now: float, most: int = 1000) -> dict[str, Any]:
        """Everything, for people."""
        return {
            "state": {name: dict([*store.rows(now).items()][:most]) for name, store in self.stores.items()},
            "machine": {name: machine.states(now) for name, machine in self.machines.items()},
            "counter": {name: counting.peek(0) for name, counting in self.counters.items()},
        }

    def reset(self) -> None:
        for store in self.stores.values():
            store.reset()
        for machine in self.machines.values():
            machine.reset()
        for counting in self.counters.values():
            counting.reset()


def _amount(value: Template, seen: Seen, at: float, path: str) -> Decimal:
    """The number behind a sign: `-f.amount`, `+1`, `-{amount}`."""
    text = value.text[1:].strip()
    found: Any = text
    if "{" in text:
        found = Template(text).filled(seen.filling(at, path))
    elif text[:1].isalpha():
        found = seen(text) if "." in text else seen.field(text)
    both = None if found is None else numbers(as_text(found), "0")
    if both is None:
        raise NoValue(text)
    return both[0]
