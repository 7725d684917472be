"""Whether everything that a scenario names exists: messages, fields, stores, machines, columns; and whether set values fit their fields."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from telegram_router.config.lines import Path as KeyPath
from telegram_router.telegrams import FieldFault, MessageLayout, Spec
from telegram_router.telegrams.json_values import reader_of
from telegram_router.tools.predicate import Predicate
from telegram_router.tools.simulate import scenario as model
from telegram_router.tools.simulate.answering import field_named
from telegram_router.tools.simulate.findings import value_at
from telegram_router.tools.simulate.scenario import Scenario
from telegram_router.tools.simulate.states import Row
from telegram_router.tools.simulate.templates import Template

_OWN: Final = frozenset({"now", "conn", "n", "random", "msg", "len", "c", "rule", "fault", "sent", "err"})


class Report(Protocol):
    def __call__(self, code: str, path: KeyPath, what: str, expected: str = "", do: str = "") -> None:
        """A problem at a place of the scenario."""


class Names:
    """Whether everything that is named exists."""

    def __init__(self, report: Report, made: Scenario, spec: Spec, raw: Any, rows: Mapping[str, Mapping[str, Row]]) -> None:
        self._report, self._made, self._spec = report, made, spec
        self._raw, self._rows = raw, rows
        self._fields = {
            name
            for message in spec.messages.values()
            for planned in message.fields
            if planned.name
            for name in (planned.name, planned.path, planned.path.partition(".")[2])
        }

    def tables(self) -> None:
        for name, store in self._made.state.items():
            path: KeyPath = ("state", name)
            if store.of is not None and (store.of not in self._made.state or self._made.state[store.of].of is not None):
                self._report(
                    "E-SIM-03",
                    (*path, "of"),
                    "names no store",
                    listed(each for each, other in self._made.state.items() if other.of is None),
                )
            if store.of is not None and (store.init or store.rows or store.default):
                self._report("E-SIM-02", path, "has rows of its own and those of another", do="keep `of`, or the rows")
            if store.key is None and not store.keys:
                self._report("E-SIM-02", path, "has no key", do='add key = "{FIELD}"')
            for message, template in store.keys.items():
                self.message((*path, "keys"), message)
                self.template((*path, "keys", message), template)
            if store.key is not None:
                self.template((*path, "key"), store.key)
        for name, table in self._made.table.items():
            self.template(("table", name, "key"), table.key)
        for name, machine in self._made.machine.items():
            for index, step in enumerate(machine.transition):
                self.filter(("machine", name, "transition", index, "on"), step.on)
            if machine.key is not None:
                self.template(("machine", name, "key"), machine.key)
        memory, sessions, limits = self._made.memory, self._made.sessions, self._made.limits
        if memory is not None:
            self.template(("memory", "key"), memory.key)
            self.filter(("memory", "match"), memory.match)
            self._reply_of(("memory", "again"), memory.again)
        self.filter(("sessions", "log_on"), sessions.log_on)
        self.filter(("sessions", "log_off"), sessions.log_off)
        self._reply_of(("sessions", "refused"), sessions.refused)
        if sessions.heartbeat is not None:
            self.message(("sessions", "heartbeat", "msg"), sessions.heartbeat.msg)
        if limits is not None:
            self._reply_of(("limits", "full"), limits.full)

    def rule(self, path: KeyPath, rule: model.Rule) -> None:
        self.filter((*path, "match"), rule.match)
        asked = self._asked(rule.match)
        if not asked:
            close = near(
                next((part.removeprefix("msg = ") for part in rule.match.missed(lambda name: None) if part.startswith("msg = ")), ""),
                self._spec.messages,
            )
            self._report(
                "E-SIM-03",
                (*path, "match"),
                f"no message of {self._spec.name} fits, so that it never holds",
                close,
                do="see `telegram-router spec show`",
            )
        many = isinstance(value_at(self._raw, (*path, "reply")), list)
        for index, reply in enumerate(rule.reply or ()):
            self._reply((*path, "reply", *((index,) if many else ())), reply, asked)
        for target, value in rule.update.items():
            self._update((*path, "update", target), target, value)
        for name, state in rule.go.items():
            self._machine((*path, "go", name), name, state)

    def leaves_nothing(self, earlier: model.Rule, later: model.Rule) -> bool:
        """Whether a rule answers every telegram that a later one could."""
        gated = any(getattr(earlier, name) is not None for name in model.Gate.model_fields)
        asked = self._asked(later.match)
        return (
            bool(asked)
            and not gated
            and earlier.match.names == {"msg"}
            and all(earlier.match.holds({"msg": each.name}.get) for each in asked)
        )

    def fault(self, path: KeyPath, fault: model.Fault) -> None:
        self.filter((*path, "match"), fault.match)
        do = fault.do
        if not do.words:
            self._report("E-SIM-02", (*path, "do"), "does nothing", do='say what happens, such as do = { late = "5s" }')
        if (do.refuse or do.never_accept or do.accept or do.tls) and fault.match is not None:
            self._report(
                "E-SIM-02",
                (*path, "match"),
                "no telegram has come when a connection is made",
                do="take match away, and use conn or a schedule",
            )
        if (do.refuse or do.never_accept) and (fault.rate or fault.first or fault.every or fault.conn or fault.skip):
            self._report(
                "E-SIM-02", path, "a port that nobody listens on has no connections to count", do="use begins, lasts, repeat or between"
            )
        if do.code_page is not None:
            try:
                "".encode(do.code_page)
            except LookupError:
                self._report("E-SIM-02", (*path, "do", "code_page"), "is no code page", do="name one such as utf-8, cp949 or cp037")
        if do.spoil is not None and do.spoil not in self._fields:
            self._report("E-SIM-03", (*path, "do", "spoil"), "is no field of the spec", near(do.spoil, self._fields))
        tls = self._made.tls
        if do.tls is not None and (tls is None or (do.tls != "stall" and getattr(tls, f"{do.tls}_certificate") is None)):
            self._report(
                "E-SIM-02",
                (*path, "do", "tls"),
                "there is no such certificate",
                do=f"add [tls] with {do.tls}_certificate and {do.tls}_key" if do.tls != "stall" else "add [tls]",
            )
        self.values((*path, "do", "set"), do.set, [*self._spec.messages.values()], some=True)

    def message(self, path: KeyPath, name: str) -> None:
        if name not in self._spec.messages:
            self._report("E-SIM-03", path, f"{self._spec.name} has no message {name}", near(name, self._spec.messages))

    def _reply_of(self, path: KeyPath, what: object) -> None:
        if isinstance(what, model.Reply):
            self._reply(path, what, [])

    def _reply(self, path: KeyPath, reply: model.Reply, asked: list[MessageLayout]) -> None:
        if reply.msg is not None:
            self.message((*path, "msg"), reply.msg)
            targets = [self._spec.messages[reply.msg]] if reply.msg in self._spec.messages else []
        else:
            targets = [message.reply.message for message in asked if message.reply.message is not None]
            without = [message.name for message in asked if message.reply.message is None]
            if asked and not targets:
                self._report("E-SIM-02", path, f"{without[0]} has no reply in the spec", do="name the message with msg, or leave reply out")
        for name in reply.echo or ():
            if name not in self._fields:
                self._report("E-SIM-03", (*path, "echo"), f"{name} is no field of the spec", near(name, self._fields))
        self.values(path, reply.values, targets, some=len(targets) > 1 or reply.recorded is not None)

    def values(self, path: KeyPath, values: Mapping[str, Template], targets: list[MessageLayout], *, some: bool = False) -> None:
        for name, template in values.items():
            self.template((*path, name), template)
            planned = [found for message in targets if (found := field_named(message, name)) is not None]
            if targets and not planned:
                known = {each.name for message in targets for each in message.fields if each.name}
                self._report(
                    "E-SIM-03", (*path, name), f"{targets[0].name if not some else self._spec.name} has no field {name}", near(name, known)
                )
            elif template.is_plain:
                self._try((*path, name), template.filled(lambda name: None), [*planned])

    def _try(self, path: KeyPath, text: str, planned: list[Any]) -> None:
        """A value that never changes must fit one of its fields."""
        faults = []
        for each in planned:
            try:
                each.kind.write_in(reader_of(each.kind)(text), 0)
            except FieldFault as fault:
                faults.append(fault)
        if planned and len(faults) == len(planned):
            self._report("E-SIM-02", path, f"the value does not fit: {faults[0].what}", faults[0].expected)

    def _asked(self, wanted: Predicate) -> list[MessageLayout]:
        """The messages that a filter can hold for, as far as its `msg` says."""
        return [message for message in self._spec.messages.values() if wanted.may_be(message.name)]

    def _update(self, path: KeyPath, target: str, value: Template) -> None:
        parts = target.split(".", 2)
        if len(parts) != 3 or parts[0] != "state" or parts[1] not in self._made.state:
            self._report("E-SIM-03", path, "is no value of a store", f"state.STORE.COLUMN, of the stores {listed(self._made.state)}")
        text = value.text[1:].strip() if value.text[:1] in ("-", "+") else ""
        if text and "{" not in text and text[0].isalpha():
            self.name(path, text if "." in text else f"f.{text}")
        self.template(path, value)

    def _machine(self, path: KeyPath, name: str, state: str | None = None) -> None:
        if name not in self._made.machine:
            self._report("E-SIM-03", path, "names no machine", listed(self._made.machine))
            return
        machine = self._made.machine[name]
        known = {machine.start, *(step.to for step in machine.transition), *(rule.go[name] for rule in self._made.rule if name in rule.go)}
        if state is not None and state not in known:
            self._report("E-SIM-03", path, f"the machine {name} has no state {state}", listed(known))

    def filter(self, path: KeyPath, wanted: Predicate | None) -> None:
        for name in sorted(wanted.names) if wanted is not None else ():
            self.name(path, name)

    def template(self, path: KeyPath, template: Template) -> None:
        for name in sorted(template.names):
            self.name(path, name if "." in name or name in _OWN else f"f.{name}")

    def name(self, path: KeyPath, name: str) -> None:
        head, _, rest = name.partition(".")
        if head in ("f", "request"):
            if re.sub(r"\[\d+\]", "[0]", rest) not in self._fields and rest not in self._fields:
                self._report("E-SIM-03", path, f"{self._spec.name} has no field {rest}", near(rest, self._fields))
        elif head in ("state", "table"):
            known = self._made.state if head == "state" else self._made.table
            if rest.partition(".")[0] not in known:
                self._report("E-SIM-03", path, f"there is no [{head}.{rest.partition('.')[0]}]", listed(known))
            else:
                self._column(path, head, *rest.partition(".")[::2])
        elif head == "machine":
            self._machine(path, rest)
        elif head != "counter" and name not in _OWN:
            self._report(
                "E-SIM-03",
                path,
                f"nothing is called {name}",
                "msg, f.FIELD, state.STORE.COLUMN, table.NAME.COLUMN, machine.NAME, counter.NAME, conn, n",
            )

    def _column(self, path: KeyPath, head: str, name: str, column: str) -> None:
        store = self._made.state[name] if head == "state" else None
        owner = store.of if store is not None and store.of in self._made.state else name
        rows = [*self._rows.get(f"{head}.{owner}", {}).values()][:1]
        columns = {each for row in rows for each in row}
        if store is not None:
            whole = self._made.state[owner or name]
            columns |= {each for row in (*whole.rows.values(), whole.default) for each in row}
            columns |= {
                target.split(".", 2)[2]
                for rule in self._made.rule
                for target in rule.update
                if target.startswith((f"state.{name}.", f"state.{owner}."))
            }
            if (whole.init and not rows) or not columns:
                return
        if column and columns and column not in columns:
            self._report("E-SIM-03", path, f"{head}.{name} has no column {column}", listed(columns))


def near(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name[:64], [*known], 1)
    return f"{close[0]}, perhaps" if close else ""


def listed(names: Iterable[str]) -> str:
    found = sorted(set(names))
    return ", ".join(found[:10]) if found else "one that the file declares; it declares none"
