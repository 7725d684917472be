"""From a scenario file to what runs, or to everything that is wrong with it, each with file, line and what to do."""

# Rules this file keeps:
#
# 1. All problems at once. A name that a spec, a store or a file does not have is found here, not at the first telegram.
# 2. What a reply always sets is tried with a telegram of the spec, so that a value that does not fit its field is found here too.

from __future__ import annotations

import csv
import datetime
import difflib
import importlib.util
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from telegram_router.config.lines import Path as KeyPath
from telegram_router.config.lines import key_lines, line_of
from telegram_router.errors import ConfigError, ConfigProblem, RouterError
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.telegrams import FieldFault, MessageLayout, Spec
from telegram_router.telegrams.json_values import reader_of
from telegram_router.tools.predicate import Predicate
from telegram_router.tools.simulate import scenario as model
from telegram_router.tools.simulate.answering import field_named
from telegram_router.tools.simulate.learned import Learned, learn, times_by_message
from telegram_router.tools.simulate.scenario import Scenario
from telegram_router.tools.simulate.states import Row
from telegram_router.tools.simulate.templates import Template
from telegram_router.tools.simulate.world import Prepared

FindSpec = Callable[[str, Path], Spec]  # a spec by the name in a file, and that file's folder. Raises LookupError, ConfigError
LARGEST_CSV: Final = 64 * 1024 * 1024
ROWS_AT_MOST: Final = 1_000_000
_OWN: Final = frozenset({"now", "conn", "n", "random", "msg", "len", "c", "rule", "fault", "sent", "err"})
_MISSES: Final = ("error", "nearest", "silent")


def read_scenarios(path: Path, find_spec: FindSpec, *, allow_code: bool = False) -> list[Prepared]:
    """Every simulator of a file. Raises ConfigError with all that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "is no text in UTF-8"
        raise ConfigError([ConfigProblem("E-SIM-01", str(path), 0, "", what, do="check the path")]) from None
    return parse_scenarios(text, str(path), path.parent, find_spec, allow_code=allow_code)


def parse_scenarios(text: str, file: str, folder: Path, find_spec: FindSpec, *, allow_code: bool = False) -> list[Prepared]:
    """The same from text. `[[simulators]]` holds several, each as a file of its own would be."""
    text = text.removeprefix("\ufeff")
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = re.search(r"line (\d+)", str(error))
        what = str(error).partition(" (at ")[0]
        raise ConfigError(
            [ConfigProblem("E-SIM-01", file, int(line[1]) if line else 0, "", what, do="mend the syntax at this line")]
        ) from None
    lines = key_lines(text)
    found: list[Prepared] = []
    problems: list[ConfigProblem] = []
    for at, part in _parts(raw):
        reading = _Reading(part, at, file, folder, lines, find_spec, allow_code)
        prepared = reading.prepared()
        problems += reading.problems
        if prepared is not None:
            found.append(prepared)
    if not problems:
        problems += _twice(found, file)
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: problem.line))
    return found


def from_capture(path: Path, find_spec: FindSpec, *, spec: Spec | None = None, role: str = "host", on_miss: str = "error") -> Prepared:
    """A simulator that knows nothing but a capture. Raises CaptureError, ConfigError."""
    reader = CaptureReader(path)
    named = reader.head.get("spec")
    if spec is None:
        try:
            spec = find_spec(str(named or ""), path.parent)
        except LookupError:
            what = "the capture names no spec that can be found"
            raise ConfigError([ConfigProblem("E-SIM-03", str(path), 0, "spec", what, do="name it with --spec")]) from None
    learned = learn(spec, reader, role)
    if not learned.exchanges:
        what = f"the capture has no exchange that a {role} of {spec.name} answered"
        raise ConfigError(
            [ConfigProblem("E-SIM-05", str(path), 0, "", what, do="look with `telegram-router capture stat`, or name the --spec")]
        )
    name = re.sub(r"[^A-Za-z0-9_-]", "-", path.name.split(".")[0]) or "capture"
    name = name if name[0].isalpha() else f"capture-{name}"
    made = Scenario.model_validate({"scenario": {"spec": spec.name, "name": name[:64], "role": role, "on_miss": on_miss}})
    return Prepared(made, spec, str(path), learned=learned)


def parse_fault(text: str, prepared: Prepared) -> model.Fault:
    """One fault as inline TOML: `match='msg=a.b', rate=0.1, do={late='5s'}`. Raises ConfigError."""
    try:
        raw = tomllib.loads(f"fault = [ {{ {text} }} ]")
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([ConfigProblem("E-SIM-01", "fault", 0, "", str(error).partition(" (at ")[0], do=_FAULT_FORM)]) from None
    try:
        fault = model.Fault.model_validate(raw["fault"][0])
    except ValidationError as error:
        problems = [_problem("fault", 0, (), model.Fault, each, raw["fault"][0]) for each in error.errors(include_input=False)]
        raise ConfigError(problems) from None
    reading = _Reading(raw, (), "fault", Path(), {}, _no_spec, allow_code=False)
    _Names(reading, prepared.scenario, prepared.spec).fault(("fault", 0), fault)
    if reading.problems:
        raise ConfigError(reading.problems)
    return fault


def _no_spec(name: str, folder: Path) -> Spec:
    raise LookupError(name)


_FAULT_FORM: Final = """write it as the inside of a TOML table: match = 'msg=transfer.request', rate = 0.1, do = { late = "5s" }"""


def _parts(raw: dict[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    several = raw.get("simulators")
    if isinstance(several, list) and all(isinstance(each, dict) for each in several):
        rest = {key: value for key, value in raw.items() if key != "simulators"}
        for index, each in enumerate(several):
            yield ("simulators", index), each
        if rest:
            yield (), rest
    else:
        yield (), raw


def _twice(found: list[Prepared], file: str) -> Iterator[ConfigProblem]:
    names = [prepared.name for prepared in found]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield ConfigProblem("E-SIM-02", file, 0, "scenario.name", f"two simulators are called {name}", do="give each its own name")


class _Reading:
    """One pass over one simulator."""

    def __init__(
        self, raw: dict[str, Any], at: KeyPath, file: str, folder: Path, lines: dict[KeyPath, int], find_spec: FindSpec, allow_code: bool
    ) -> None:
        self.problems: list[ConfigProblem] = []
        self._raw, self._at, self._file, self._folder, self._lines = raw, at, file, folder, lines
        self._find_spec = find_spec
        self._allow_code = allow_code
        self._rows: dict[str, Mapping[str, Row]] = {}
        self._recorded: dict[tuple[str, str], tuple[bytes, bytes]] = {}
        self._taken: dict[tuple[str, str], tuple[float, ...]] = {}
        self._captures: dict[str, Learned | None] = {}
        self._exchanges: dict[str, dict[str, list[bytes]]] = {}

    def report(self, code: str, path: KeyPath, what: str, expected: str = "", do: str = "") -> None:
        whole = (*self._at, *path)
        problem = ConfigProblem(code, self._file, line_of(self._lines, whole), _dotted(whole), what, expected, do)
        if problem not in self.problems:
            self.problems.append(problem)

    def prepared(self) -> Prepared | None:
        try:
            made = Scenario.model_validate(self._raw)
        except ValidationError as error:
            for each in error.errors(include_input=False):
                line = line_of(self._lines, (*self._at, *_path_of(each["loc"], self._raw)))
                problem = _problem(self._file, line, self._at, Scenario, each, self._raw)
                if problem not in self.problems:
                    self.problems.append(problem)
            return None
        spec = self._spec(made)
        if spec is None:
            return None
        self._check_about(made)
        self._read_files(made)
        self._check_names(made, spec)
        hooks = self._read_hooks(made)
        if self.problems:
            return None
        numbered = {
            f"{kind}.{index}": line_of(self._lines, (*self._at, kind, index))
            for kind in ("rule", "push", "fault", "verify")
            for index in range(len(getattr(made, kind)))
        }
        return Prepared(made, spec, self._file, self._rows, self._recorded, self._taken, None, hooks, numbered)

    def _spec(self, made: Scenario) -> Spec | None:
        try:
            return self._find_spec(made.scenario.spec, self._folder)
        except LookupError as error:
            self.report(
                "E-SIM-03",
                ("scenario", "spec"),
                f"no spec is called so: {error}",
                do="give its name, or the path of its .py file from this file's folder",
            )
        except ConfigError as error:
            self.problems += error.problems
        return None

    def _check_about(self, made: Scenario) -> None:
        about = made.scenario
        if about.on_miss not in _MISSES and not re.fullmatch(r"forward:(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}", about.on_miss):
            self.report(
                "E-SIM-02", ("scenario", "on_miss"), "is none of the choices", '"error", "nearest", "silent" or "forward:HOST:PORT"'
            )
        if about.clock is not None:
            try:
                clock = datetime.datetime.fromisoformat(about.clock)
            except ValueError:
                clock = None
            if clock is None or clock.tzinfo is None:
                self.report("E-SIM-02", ("scenario", "clock"), "is no date and time with its zone", '"2026-11-23T09:00:00+09:00"')
        if made.tls is not None and about.role == "host" and (made.tls.certificate is None or made.tls.key is None):
            self.report(
                "E-SIM-02", ("tls",), "a host needs a certificate and its key", do="add certificate and key, or take the table away"
            )

    # --- files

    def _read_files(self, made: Scenario) -> None:
        for name, store in made.state.items():
            if store.init is not None:
                self._rows[f"state.{name}"] = self._csv(("state", name, "init"), store.init)
        for name, table in made.table.items():
            self._rows[f"table.{name}"] = self._csv(("table", name, "file"), table.file)

    def _csv(self, path: KeyPath, name: str) -> dict[str, Row]:
        file = self._folder / name
        try:
            if file.stat().st_size > LARGEST_CSV:
                self.report("E-SIM-05", path, f"{file} is larger than {LARGEST_CSV // 1024 // 1024} MiB", do="take a part of it")
                return {}
            with file.open(encoding="utf-8-sig", newline="") as stream:
                rows = list(csv.reader(stream, strict=True))
        except OSError as error:
            self.report(
                "E-SIM-05", path, f"{file} cannot be read: {error.strerror}", do="check the path; it is taken from the scenario's folder"
            )
            return {}
        except (UnicodeDecodeError, csv.Error) as error:
            what = "is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else f"is no CSV: {error}"
            self.report("E-SIM-05", path, f"{file} {what}", do="write it as CSV in UTF-8, names in the first line")
            return {}
        return self._table(path, file, [row for row in rows if row])

    def _table(self, path: KeyPath, file: Path, rows: list[list[str]]) -> dict[str, Row]:
        if len(rows) < 1 or len(rows[0]) < 2 or len(rows) > ROWS_AT_MOST:
            self.report(
                "E-SIM-05", path, f"{file} has no line of names with a key and a value", do="begin it with a line such as account,balance"
            )
            return {}
        names = [name.strip() for name in rows[0]]
        found: dict[str, Row] = {}
        for number, row in enumerate(rows[1:], 2):
            if len(row) != len(names):
                self.report(
                    "E-SIM-05", path, f"{file}:{number} has {len(row)} values, and there are {len(names)} names", do="mend that line"
                )
                return {}
            if row[0] in found:
                self.report("E-SIM-05", path, f"{file}:{number} has a key that an earlier line has", do="keep one of them")
                return {}
            found[row[0].strip()] = {name: value.strip() for name, value in zip(names[1:], row[1:], strict=True)}
        return found

    def _capture(self, path: KeyPath, name: str, spec: Spec) -> Learned | None:
        if name not in self._captures:
            self._captures[name] = None
            try:
                records = list(CaptureReader(self._folder / name))
            except RouterError as error:
                self.report("E-SIM-05", path, error.text(), do=error.do or "check the path; it is taken from the scenario's folder")
                return None
            exchanges: dict[str, list[bytes]] = {}
            for record in records:
                if record["k"] == "m" and record.get("x"):
                    exchanges.setdefault(record["x"], []).append(record["raw"])
            self._exchanges[name] = exchanges
            self._captures[name] = learn(spec, records)
        return self._captures[name]

    def _read_hooks(self, made: Scenario) -> ModuleType | None:
        called = [(index, rule.call) for index, rule in enumerate(made.rule) if rule.call is not None]
        if not called and made.python is None:
            return None
        if not self._allow_code:
            path: KeyPath = ("python",) if made.python is not None else ("rule", called[0][0], "call")
            self.report("E-SIM-06", path, "runs Python code, which is not allowed", do="look at the file, then give --allow-code")
            return None
        if made.python is None:
            self.report(
                "E-SIM-02", ("rule", called[0][0], "call"), "there is no Python file", do='add python = "hooks.py" at the top of the file'
            )
            return None
        module = self._module(self._folder / made.python)
        for index, name in called:
            if module is not None and not callable(getattr(module, name, None)):
                self.report("E-SIM-06", ("rule", index, "call"), f"{made.python} has no function {name}", do="name one that is there")
        return module

    def _module(self, file: Path) -> ModuleType | None:
        try:
            found = importlib.util.spec_from_file_location(f"simulator_{file.stem}", file)
            assert found is not None and found.loader is not None
            module = importlib.util.module_from_spec(found)
            found.loader.exec_module(module)
        except (Exception, SystemExit) as error:  # somebody else's code
            self.report("E-SIM-06", ("python",), f"{file} cannot be run: {type(error).__name__}: {error}", do="mend it")
            return None
        return module

    # --- names

    def _check_names(self, made: Scenario, spec: Spec) -> None:
        names = _Names(self, made, spec)
        for index, rule in enumerate(made.rule):
            names.rule(("rule", index), rule)
            self._check_delay(("rule", index, "delay"), rule.delay, spec)
            for number, reply in enumerate(rule.reply or ()):
                self._check_recorded(
                    ("rule", index, "reply", *((number,) if isinstance(_at(self._raw, ("rule", index, "reply")), list) else ())),
                    reply,
                    spec,
                )
        for index, push in enumerate(made.push):
            names.message(("push", index, "msg"), push.msg)
            names.values(("push", index), push.values, [spec.messages[push.msg]] if push.msg in spec.messages else [])
            names.filter(("push", index, "when"), push.when)
        for index, fault in enumerate(made.fault):
            names.fault(("fault", index), fault)
        for index, each in enumerate(made.verify):
            for wanted in each.expect.predicates:
                names.filter(("verify", index, "expect"), wanted)
        names.tables()

    def _check_delay(self, path: KeyPath, delay: model.Delay | None, spec: Spec) -> None:
        if delay is None:
            return
        given = [name for name in ("fixed", "uniform", "lognormal", "capture") if getattr(delay, name) is not None]
        if len(given) != 1:
            self.report(
                "E-SIM-02",
                path,
                "is not one delay",
                '"8ms", { uniform = { min = "1ms", max = "9ms" } }, { lognormal = { p50 = "8ms", p99 = "120ms" } } or { capture = "day.tgcap.jsonl" }',
            )
        if delay.lognormal is not None and delay.lognormal.p99 <= delay.lognormal.p50:
            self.report("E-SIM-02", path, "p99 is not above p50", do="let one in a hundred take longer than half of them")
        if delay.uniform is not None and delay.uniform.most < delay.uniform.least:
            self.report("E-SIM-02", path, "max is below min", do="swap them")
        if delay.capture is not None:
            learned = self._capture((*path, "capture"), delay.capture, spec)
            for name, seconds in (times_by_message(learned) if learned is not None else {}).items():
                self._taken[delay.capture, name] = seconds

    def _check_recorded(self, path: KeyPath, reply: model.Reply, spec: Spec) -> None:
        if reply.recorded is None:
            if reply.exchange is not None:
                self.report("E-SIM-02", (*path, "exchange"), "there is no capture", do="name it under recorded")
            return
        if self._capture((*path, "recorded"), reply.recorded, spec) is None:
            return
        frames = self._exchanges[reply.recorded].get(reply.exchange or "", [])
        if len(frames) < 2:
            self.report(
                "E-SIM-05",
                (*path, "exchange"),
                f"{reply.recorded} has no answered exchange of that name",
                do="see `telegram-router capture show`",
            )
        else:
            self._recorded[reply.recorded, reply.exchange or ""] = frames[0], frames[-1]


class _Names:
    """Whether everything that is named exists."""

    def __init__(self, reading: _Reading, made: Scenario, spec: Spec) -> None:
        self._reading, self._made, self._spec = reading, made, spec
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
                self._reading.report(
                    "E-SIM-03", (*path, "of"), "names no store", _list(each for each, other in self._made.state.items() if other.of is None)
                )
            if store.of is not None and (store.init or store.rows or store.default):
                self._reading.report("E-SIM-02", path, "has rows of its own and those of another", do="keep `of`, or the rows")
            if store.key is None and not store.keys:
                self._reading.report("E-SIM-02", path, "has no key", do='add key = "{FIELD}"')
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
            near = _near(
                next((part.removeprefix("msg = ") for part in rule.match.missed(lambda name: None) if part.startswith("msg = ")), ""),
                self._spec.messages,
            )
            self._reading.report(
                "E-SIM-03",
                (*path, "match"),
                f"no message of {self._spec.name} fits, so that it never holds",
                near,
                do="see `telegram-router spec show`",
            )
        many = isinstance(_at(self._reading._raw, (*path, "reply")), list)
        for index, reply in enumerate(rule.reply or ()):
            self._reply((*path, "reply", *((index,) if many else ())), reply, asked)
        for target, value in rule.update.items():
            self._update((*path, "update", target), target, value)
        for name, state in rule.go.items():
            self._machine((*path, "go", name), name, state)

    def fault(self, path: KeyPath, fault: model.Fault) -> None:
        self.filter((*path, "match"), fault.match)
        do = fault.do
        if not do.words:
            self._reading.report("E-SIM-02", (*path, "do"), "does nothing", do='say what happens, such as do = { late = "5s" }')
        if (do.refuse or do.never_accept or do.accept or do.tls) and fault.match is not None:
            self._reading.report(
                "E-SIM-02",
                (*path, "match"),
                "no telegram has come when a connection is made",
                do="take match away, and use conn or a schedule",
            )
        if (do.refuse or do.never_accept) and (fault.rate or fault.first or fault.every or fault.conn or fault.skip):
            self._reading.report(
                "E-SIM-02", path, "a port that nobody listens on has no connections to count", do="use begins, lasts, repeat or between"
            )
        if do.code_page is not None:
            try:
                "".encode(do.code_page)
            except LookupError:
                self._reading.report("E-SIM-02", (*path, "do", "code_page"), "is no code page", do="name one such as utf-8, cp949 or cp037")
        if do.spoil is not None and do.spoil not in self._fields:
            self._reading.report("E-SIM-03", (*path, "do", "spoil"), "is no field of the spec", _near(do.spoil, self._fields))
        tls = self._made.tls
        if do.tls is not None and (tls is None or (do.tls != "stall" and getattr(tls, f"{do.tls}_certificate") is None)):
            self._reading.report(
                "E-SIM-02",
                (*path, "do", "tls"),
                "there is no such certificate",
                do=f"add [tls] with {do.tls}_certificate and {do.tls}_key" if do.tls != "stall" else "add [tls]",
            )
        self.values((*path, "do", "set"), do.set, [*self._spec.messages.values()], some=True)

    def message(self, path: KeyPath, name: str) -> None:
        if name not in self._spec.messages:
            self._reading.report("E-SIM-03", path, f"{self._spec.name} has no message {name}", _near(name, self._spec.messages))

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
                self._reading.report(
                    "E-SIM-02", path, f"{without[0]} has no reply in the spec", do="name the message with msg, or leave reply out"
                )
        for name in reply.echo or ():
            if name not in self._fields:
                self._reading.report("E-SIM-03", (*path, "echo"), f"{name} is no field of the spec", _near(name, self._fields))
        self.values(path, reply.values, targets, some=len(targets) > 1 or reply.recorded is not None)

    def values(self, path: KeyPath, values: Mapping[str, Template], targets: list[MessageLayout], *, some: bool = False) -> None:
        for name, template in values.items():
            self.template((*path, name), template)
            planned = [found for message in targets if (found := field_named(message, name)) is not None]
            if targets and not planned:
                known = {each.name for message in targets for each in message.fields if each.name}
                self._reading.report(
                    "E-SIM-03", (*path, name), f"{targets[0].name if not some else self._spec.name} has no field {name}", _near(name, known)
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
            self._reading.report("E-SIM-02", path, f"the value does not fit: {faults[0].what}", faults[0].expected)

    def _asked(self, wanted: Predicate) -> list[MessageLayout]:
        """The messages that a filter can hold for, as far as its `msg` says."""
        return [message for message in self._spec.messages.values() if _may_be(wanted, message.name)]

    def _update(self, path: KeyPath, target: str, value: Template) -> None:
        parts = target.split(".", 2)
        if len(parts) != 3 or parts[0] != "state" or parts[1] not in self._made.state:
            self._reading.report("E-SIM-03", path, "is no value of a store", f"state.STORE.COLUMN, of the stores {_list(self._made.state)}")
        text = value.text[1:].strip() if value.text[:1] in ("-", "+") else ""
        if text and "{" not in text and text[0].isalpha():
            self.name(path, text if "." in text else f"f.{text}")
        self.template(path, value)

    def _machine(self, path: KeyPath, name: str, state: str | None = None) -> None:
        if name not in self._made.machine:
            self._reading.report("E-SIM-03", path, "names no machine", _list(self._made.machine))
            return
        machine = self._made.machine[name]
        known = {machine.start, *(step.to for step in machine.transition), *(rule.go[name] for rule in self._made.rule if name in rule.go)}
        if state is not None and state not in known:
            self._reading.report("E-SIM-03", path, f"the machine {name} has no state {state}", _list(known))

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
                self._reading.report("E-SIM-03", path, f"{self._spec.name} has no field {rest}", _near(rest, self._fields))
        elif head in ("state", "table"):
            known = self._made.state if head == "state" else self._made.table
            if rest.partition(".")[0] not in known:
                self._reading.report("E-SIM-03", path, f"there is no [{head}.{rest.partition('.')[0]}]", _list(known))
            else:
                self._column(path, head, *rest.partition(".")[::2])
        elif head == "machine":
            self._machine(path, rest)
        elif head != "counter" and name not in _OWN:
            self._reading.report(
                "E-SIM-03",
                path,
                f"nothing is called {name}",
                "msg, f.FIELD, state.STORE.COLUMN, table.NAME.COLUMN, machine.NAME, counter.NAME, conn, n",
            )

    def _column(self, path: KeyPath, head: str, name: str, column: str) -> None:
        store = self._made.state[name] if head == "state" else None
        owner = store.of if store is not None and store.of in self._made.state else name
        rows = [*self._reading._rows.get(f"{head}.{owner}", {}).values()][:1]
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
            self._reading.report("E-SIM-03", path, f"{head}.{name} has no column {column}", _list(columns))


def _may_be(wanted: Predicate, message: str) -> bool:
    """Whether the filter's own test of `msg`, if all tests must hold, lets a message through."""

    def find(name: str) -> Any:
        return message if name == "msg" else None

    return not any(part.startswith("msg ") for part in wanted.missed(find))


# --- problems ---------------------------------------------------------------------------------------------------


def _problem(file: str, line: int, at: KeyPath, top: type[BaseModel], detail: ErrorDetails, raw: Any = None) -> ConfigProblem:
    """One finding of pydantic's."""
    path = _path_of(detail["loc"], raw)
    key = _dotted((*at, *path))
    if detail["type"] == "extra_forbidden":
        known = _keys(top, path[:-1])
        near = difflib.get_close_matches(str(path[-1]), known, 1)
        return ConfigProblem(
            "E-SIM-02", file, line, key, "unknown key", do=f"did you mean {near[0]}?" if near else f"use one of {', '.join(known)}"
        )
    if detail["type"] == "missing":
        return ConfigProblem("E-SIM-02", file, line, key, "is missing", do="add it")
    context = detail.get("ctx", {})
    if detail["type"] == "form":
        return ConfigProblem("E-SIM-02", file, line, key, str(context["what"]), str(context["expected"]))
    if detail["type"] == "literal_error":
        return ConfigProblem("E-SIM-02", file, line, key, "is none of the choices", str(context["expected"]).replace("'", '"'))
    return ConfigProblem("E-SIM-02", file, line, key, "cannot be used", detail["msg"].lower())


def _path_of(loc: tuple[str | int, ...], raw: Any) -> KeyPath:
    """The keys of the file: pydantic adds names of types where a value may be of several."""
    path: list[str | int] = []
    here: Any = raw
    step: Any
    for index, step in enumerate(loc):
        if (isinstance(here, dict) and step in here) or (isinstance(here, list) and isinstance(step, int) and step < len(here)):
            here = here[step]
        elif index == len(loc) - 1 and isinstance(step, str) and isinstance(here, dict) and "-" not in step and "[" not in step:
            pass  # a key that is missing
        else:
            continue
        path.append(step)
    return tuple(path)


def _keys(top: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys of the table at a path."""
    here: type[BaseModel] = top
    for step in path:
        if isinstance(step, int):
            continue
        found = next((each for name, each in here.model_fields.items() if step in (name, each.alias)), None)
        models = [] if found is None else list(_models_in(found.annotation))
        if models:
            here = models[0]
    return [each.alias or name for name, each in here.model_fields.items()]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for part in getattr(annotation, "__args__", ()):
        yield from _models_in(part)


def _at(raw: Any, path: KeyPath) -> Any:
    step: Any
    for step in path:
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            return None
    return raw


def _dotted(path: KeyPath) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _near(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name[:64], [*known], 1)
    return f"{close[0]}, perhaps" if close else ""


def _list(names: Iterable[str]) -> str:
    found = sorted(set(names))
    return ", ".join(found[:10]) if found else "one that the file declares; it declares none"
