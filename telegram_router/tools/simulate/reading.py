"""From a scenario file to what runs, or to everything that is wrong with it, each with file, line and what to do."""

# Rules this file keeps:
#
# 1. All problems at once. A name that a spec, a store or a file does not have is found here, not at the first telegram.
# 2. What a reply always sets is tried with a telegram of the spec, so that a value that does not fit its field is found here too.

from __future__ import annotations

import csv
import datetime
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pydantic import ValidationError

from telegram_router.config.lines import KeyLines
from telegram_router.config.lines import Path as KeyPath
from telegram_router.config.problems import Problems
from telegram_router.errors import ConfigError, ConfigProblem, RouterError
from telegram_router.storage.capture_reader import CaptureReader, Findings
from telegram_router.telegrams import Spec
from telegram_router.tools.hooks import HookError, module_of
from telegram_router.tools.simulate import scenario as model
from telegram_router.tools.simulate.findings import path_of, problem_of, value_at
from telegram_router.tools.simulate.forms import forward_to
from telegram_router.tools.simulate.learned import Learned, learn, times_by_message
from telegram_router.tools.simulate.naming import Names
from telegram_router.tools.simulate.scenario import Scenario
from telegram_router.tools.simulate.script import Script, read_script
from telegram_router.tools.simulate.states import Row
from telegram_router.tools.simulate.world import Prepared
from telegram_router.written import Misread

FindSpec = Callable[[str, Path], Spec]  # a spec by the name in a file, and that file's folder. Raises LookupError, ConfigError
LARGEST_CSV: Final = 64 * 1024 * 1024
ROWS_AT_MOST: Final = 1_000_000


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
    lines = KeyLines(text)
    found: list[Prepared] = []
    problems: list[ConfigProblem] = []
    for at, part in _parts(raw):
        reading = _Reading(part, at, file, folder, lines, find_spec, allow_code)
        prepared = reading.prepared()
        problems += reading.problems.found
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
    script = read_script(path.name, spec, CaptureReader(path)) if role == "client" else None
    if not learned.exchanges and (script is None or not script.planned):
        what = f"the capture has no exchange that a {role} of {spec.name} " + ("answered" if role == "host" else "asked for or answered")
        raise ConfigError(
            [ConfigProblem("E-SIM-05", str(path), 0, "", what, do="look with `telegram-router capture stat`, or name the --spec")]
        )
    name = re.sub(r"[^A-Za-z0-9_-]", "-", path.name.split(".")[0]) or "capture"
    name = name if name[0].isalpha() else f"capture-{name}"
    made = Scenario.model_validate({"scenario": {"spec": spec.name, "name": name[:64], "role": role, "on_miss": on_miss}})
    remarks = tuple(_remarks(path, reader.findings, learned, script))
    return Prepared(made, spec, str(path), learned=learned, script=script, remarks=remarks, damaged=bool(reader.findings.damaged))


def _trusted(made: Scenario) -> tuple[str, ...]:
    """Where clients find the CA of certificates that the simulator makes."""
    return () if made.tls is None or made.tls.made is None else (f"clients trust it with {Path(made.tls.made) / 'ca.pem'}",)


def _remarks(path: Path, findings: Findings, learned: Learned, script: Script | None) -> Iterator[str]:
    """What is not used of a capture, and why."""
    yield from findings.problems[:5]
    if not findings.closed_cleanly:
        yield f"{path}: was not closed cleanly, what came last may be missing"
    counted = {"telegrams masked beyond use, left out": learned.masked, "requests without a usable answer": learned.unanswered}
    if script is not None:
        counted |= {f"telegrams that are not sent, {why}": script.left_out[why] for why in ("polls", "not of the spec")}
    for what, count in counted.items():
        if count:
            yield f"{path}: {what}: {count:,}"


def parse_fault(text: str, prepared: Prepared) -> model.Fault:
    """One fault as inline TOML: `match='msg=a.b', rate=0.1, do={late='5s'}`. Raises ConfigError."""
    try:
        raw = tomllib.loads(f"fault = [ {{ {text} }} ]")
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([ConfigProblem("E-SIM-01", "fault", 0, "", str(error).partition(" (at ")[0], do=_FAULT_FORM)]) from None
    try:
        fault = model.Fault.model_validate(raw["fault"][0])
    except ValidationError as error:
        problems = [problem_of("fault", 0, (), model.Fault, each, raw["fault"][0]) for each in error.errors(include_input=False)]
        raise ConfigError(problems) from None
    reading = _Reading(raw, (), "fault", Path(), KeyLines(""), _no_spec, allow_code=False)
    Names(reading.report, prepared.scenario, prepared.spec, raw, {}).fault(("fault", 0), fault)
    if reading.problems.found:
        raise ConfigError(reading.problems.found)
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
        self, raw: dict[str, Any], at: KeyPath, file: str, folder: Path, lines: KeyLines, find_spec: FindSpec, allow_code: bool
    ) -> None:
        self.problems = Problems(file, lines)
        self._raw, self._at, self._file, self._folder = raw, at, file, folder
        self._find_spec = find_spec
        self._allow_code = allow_code
        self._rows: dict[str, Mapping[str, Row]] = {}
        self._recorded: dict[tuple[str, str], tuple[bytes, bytes]] = {}
        self._taken: dict[tuple[str, str], tuple[float, ...]] = {}
        self._captures: dict[str, Learned | None] = {}
        self._exchanges: dict[str, dict[str, list[bytes]]] = {}

    def report(self, code: str, path: KeyPath, what: str, expected: str = "", do: str = "") -> None:
        self.problems.report(code, (*self._at, *path), what, expected, do)

    def prepared(self) -> Prepared | None:
        try:
            made = Scenario.model_validate(self._raw)
        except ValidationError as error:
            for each in error.errors(include_input=False):
                line = self.problems.line((*self._at, *path_of(each["loc"], self._raw)))
                self.problems.add(problem_of(self._file, line, self._at, Scenario, each, self._raw))
            return None
        spec = self._spec(made)
        if spec is None:
            return None
        self._check_about(made)
        self._read_files(made)
        self._check_names(made, spec)
        hooks = self._read_hooks(made)
        if self.problems.found:
            return None
        numbered = {
            f"{kind}.{index}": self.problems.line((*self._at, kind, index))
            for kind in ("rule", "push", "fault", "verify")
            for index in range(len(getattr(made, kind)))
        }
        return Prepared(made, spec, self._file, self._rows, self._recorded, self._taken, None, hooks, numbered, remarks=_trusted(made))

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
            self.problems.found += error.problems
        return None

    def _check_about(self, made: Scenario) -> None:
        about = made.scenario
        try:
            forward_to(about.on_miss)
        except Misread as error:
            self.report("E-SIM-02", ("scenario", "on_miss"), error.what, error.expected)
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
                if record["k"] == "m" and record.get("x") and record["raw"]:
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
            return module_of(file)
        except HookError as error:
            self.report("E-SIM-06", ("python",), str(error), do="mend it")
            return None

    # --- names

    def _check_names(self, made: Scenario, spec: Spec) -> None:
        names = Names(self.report, made, spec, self._raw, self._rows)
        for index, rule in enumerate(made.rule):
            names.rule(("rule", index), rule)
            for number, earlier in enumerate(made.rule[:index]):
                if names.leaves_nothing(earlier, rule):
                    line = self.problems.line((*self._at, "rule", number))
                    what = f"{earlier.name or f'rule {number + 1}'} (line {line}) answers all that it is for before it"
                    self.report(
                        "E-SIM-02", ("rule", index, "match"), f"never holds: {what}", do="put it first, or give the other one more tests"
                    )
                    break
            self._check_delay(("rule", index, "delay"), rule.delay, spec)
            for number, reply in enumerate(rule.reply or ()):
                self._check_recorded(
                    ("rule", index, "reply", *((number,) if isinstance(value_at(self._raw, ("rule", index, "reply")), list) else ())),
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
