"""From the text of a configuration file to a Config, or to the list of everything that is wrong with it."""

# Rules this file keeps:
#
# 1. Text in, Config out. No file is opened here and no handler imported; that is the caller's.
# 2. Nothing is guessed: a number without its unit, an unknown key and an unclear pair of routes are errors.
# 3. No message quotes a value, since headers may hold secrets. Names (keys, listeners, services) are quoted.

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from telegram_router.config.consistency import check_addresses, check_values
from telegram_router.config.keys import check_keys, check_names
from telegram_router.config.lines import KeyLines, Path
from telegram_router.config.model import Config, specs_by_party
from telegram_router.config.overlaps import check_overlaps
from telegram_router.config.problems import Problems
from telegram_router.config.routes import Route
from telegram_router.config.services import KINDS, AnyService, kind_of
from telegram_router.config.syntax import load
from telegram_router.config.wording import at, expected_key, keys_of, kinds_named, model_of, path_of, suggestion, what_and_expected
from telegram_router.errors import ConfigError, ConfigProblem


class Draft(NamedTuple):
    """What of a file is sound, and all that is wrong with it. Whoever looks further can tell more of what is wrong at once."""

    config: Config  # without the tables that cannot be read
    places: Sequence[int]  # of each of its routes: the index in the file
    problems: Sequence[ConfigProblem]
    overlaps: Sequence[ConfigProblem]  # E-CFG-05: idle talk where a match names a field that does not exist
    spec_conflicts: Sequence[ConfigProblem]  # E-CFG-07: idle talk where a spec does not exist
    lines: KeyLines  # where each key stands

    def raise_if_wrong(self) -> None:
        """Raises ConfigError with every problem found, in the order of the file's lines."""
        if found := [*self.problems, *self.overlaps, *self.spec_conflicts]:
            raise ConfigError(sorted(found, key=lambda problem: problem.line))


def parse_config(text: str, filename: str) -> Config:
    """Read a configuration. Raises ConfigError with every problem found, in the order of the file's lines."""
    draft = draft_config(text, filename)
    draft.raise_if_wrong()
    return draft.config


def draft_config(text: str, filename: str) -> Draft:
    """Read a configuration as far as it can be read. Raises ConfigError where it is no TOML."""
    text = text.removeprefix("\ufeff")  # Windows editors put one in front of a file
    return _Reading(load(text, filename), filename, KeyLines(text)).draft()


class _Reading:
    """One pass over one file. Checks run on whatever part of it is sound, so that one mistake hides no other."""

    def __init__(self, raw: dict[str, Any], filename: str, lines: KeyLines) -> None:
        self._problems = Problems(filename, lines)
        self._raw = raw
        self._lines = lines
        self._places: list[int] = []  # of each route that is sound: its index in the file

    def draft(self) -> Draft:
        problems, config = self._problems, self._sound_part()
        routes = [(("routes", place), route) for place, route in zip(self._places, config.routes, strict=True)]
        check_keys(problems, self._raw)
        check_names(problems, self._raw)
        check_values(problems, config, routes)
        check_addresses(problems, config)
        if not problems.found:  # a spec may be unknown only because its route was left out
            _missing_specs(problems, config)
        overlaps, conflicts = (Problems(problems.filename, self._lines) for _ in range(2))
        check_overlaps(overlaps, routes)
        _specs(conflicts, config, routes)
        return Draft(config, self._places, problems.found, overlaps.found, conflicts.found, self._lines)

    def _sound_part(self) -> Config:
        """Everything that can be read. What cannot is reported and left out, table by table."""
        try:
            config = Config.model_validate(self._raw)
        except ValidationError as error:
            config = Config.model_validate(self._without({self._report_detail(each) for each in error.errors(include_input=False)}))
        else:
            self._places = list(range(len(config.routes)))
        return config

    def _without(self, broken: set[Path]) -> dict[str, Any]:
        parts = {key: value for key, value in self._raw.items() if (key,) not in broken}
        for key in ("listeners", "services", "limits", "priorities", "quotas", "calendars"):
            if key in parts:
                parts[key] = {name: table for name, table in parts[key].items() if (key, name) not in broken}
        routes = parts.pop("routes", [])
        self._places = [place for place in range(len(routes)) if ("routes", place) not in broken]
        return parts | ({"routes": [routes[place] for place in self._places]} if self._places else {})

    def _report_detail(self, detail: ErrorDetails) -> Path:
        """Report one finding of pydantic's; returns the path of the part that has to be left out."""
        path = path_of(detail["loc"])
        part = path[: 2 if path[0] in ("listeners", "services", "limits", "priorities", "quotas", "calendars", "routes") else 1]
        table = at(self._raw, part)
        clashing = path[0] == "services" and len(kinds_named(table)) > 1
        if detail["type"] == "extra_forbidden":
            self._report_unknown_key(path, clashing)
        elif detail["type"] == "missing":
            if not clashing:
                self._problems.report("E-CFG-04", path, "is missing", expected_key(path, table))
        else:
            self._problems.report("E-CFG-04", path, *what_and_expected(detail))
        return part

    def _report_unknown_key(self, path: Path, clashing: bool) -> None:
        key = str(path[-1])
        model = model_of(path[:-1], self._raw)
        owners = [kind.kind for kind in KINDS.values() if key in keys_of(kind)]
        if issubclass(model, AnyService) and owners:
            if not clashing:
                kind = kind_of(at(self._raw, path[:-1]))
                self._problems.report(
                    "E-CFG-07", path, f"belongs to {' and '.join(owners)} services, and this is a {kind} service", do="remove it"
                )
            return
        suggested = suggestion(key, keys_of(model))
        self._problems.report("E-CFG-03", path, "unknown key", do=suggested or f"use one of {', '.join(sorted(keys_of(model)))}")


def _missing_specs(problems: Problems, config: Config) -> None:
    for (kind, name), found in specs_by_party(config).items():
        if kind == "service" and not found:
            problems.report("E-CFG-04", ("services", name, "spec"), "is missing, and no route tells it", "the spec that the service speaks")


def _specs(problems: Problems, config: Config, routes: Sequence[tuple[Path, Route]]) -> None:
    specs = specs_by_party(config)
    for name in config.services:
        found = sorted(specs["service", name])
        if len(found) > 1:
            what = f"is reached from listeners of the specs {' and '.join(found)}"
            problems.report("E-CFG-07", ("services", name), what, do="use one service for each spec")
    for path, route in routes:
        for source, target in product(route.sources, route.targets):
            one, other = specs.get(source, set()), specs.get(target, set())
            if len(one) == len(other) == 1 and one != other:
                what = f"leads from spec {min(one)} to spec {min(other)}"
                problems.report("E-CFG-07", path, what, do="route to a service of the same spec")
