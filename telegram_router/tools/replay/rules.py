"""Rules for the fields of requests, as a file or the command line says them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from telegram_router.telegrams import Spec
from telegram_router.tools.hooks import HookError, function_of
from telegram_router.tools.replay.masks import tables
from telegram_router.tools.replay.recomputing import CHECKSUMS
from telegram_router.tools.replay.settings import ReplayError, text_of

_RULE: Final = re.compile(r"(now|shift|seq|map|learn|set|lookup|pseudonym|fn|recompute|keep)(?:\s*\((.*)\)|\s*:\s*(\S.*))?", re.DOTALL)
_WANTS_ARGUMENT: Final = frozenset({"map", "learn", "set", "lookup", "fn", "recompute"})
EXPECTED: Final = (
    "now, now(YYYYMMDD), shift, seq, seq(start=1, step=1, wrap=999999), map(FIELD), learn(FIELD), set(VALUE), lookup(FILE.csv), "
    "pseudonym, fn(FILE.py:FUNCTION), recompute(CHECKSUM), recompute(FILE.py:FUNCTION) or keep"
)


@dataclass(frozen=True)
class Rule:
    """What is done with a field. `argument`: a form, a field, a value, a file or a function, by its kind."""

    kind: str
    argument: str = ""
    options: Mapping[str, int] = field(default_factory=dict)
    table: Mapping[str, str] = field(default_factory=dict)
    where: str = ""
    call: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Beside:
    """What rules may name: files beside theirs, and functions if Python code is allowed."""

    folder: Path = Path()
    allow_code: bool = False

    def text(self, name: str) -> str:
        return text_of(self.folder / name)

    def function(self, name: str, where: str) -> Callable[..., Any]:
        if not self.allow_code:
            raise ReplayError(
                "E-RPL-09", "the rule runs Python code, which is not allowed", where=where, do="look at it, then give --allow-code"
            )
        try:
            return function_of(name, self.folder)
        except HookError as error:
            raise ReplayError("E-RPL-09", str(error), where=where, do="mend it") from None


def rule_of(text: object, where: str, beside: Beside) -> Rule:
    """One rule as it stands in a file. Raises ReplayError."""
    found = _RULE.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ReplayError("E-RPL-03", "the rule cannot be understood", where=where, expected=EXPECTED)
    kind, argument = found[1], (found[2] or found[3] or "").strip()
    if kind == "seq":
        return Rule(kind, options=_options(argument, where), where=where)
    if kind in _WANTS_ARGUMENT and found[2] is None and found[3] is None:
        raise ReplayError("E-RPL-03", f"{kind} lacks what stands in its parentheses", where=where, expected=EXPECTED)
    if kind == "lookup":
        return Rule(kind, argument, table=_pairs(beside.text(argument), argument, where), where=where)
    if kind == "fn" or (kind == "recompute" and ":" in argument):
        return Rule(kind, argument, where=where, call=beside.function(argument, where))
    if kind == "recompute" and argument not in CHECKSUMS:
        expected = f"{', '.join(CHECKSUMS)}, or FILE.py:FUNCTION"
        raise ReplayError("E-RPL-03", "recompute does not know that checksum", where=where, expected=expected)
    if kind in ("map", "learn"):
        return Rule(kind, argument.removeprefix("reply.").rpartition(".")[2], where=where)  # what is remembered goes by the name alone
    return Rule(kind, argument.strip("\"'") if kind == "set" else argument, where=where)


def _options(text: str, where: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, value = (each.strip() for each in part.partition("="))
        if name not in ("start", "step", "wrap", "width") or not value.isdecimal() or (name in ("step", "width") and not int(value)):
            raise ReplayError("E-RPL-03", "seq takes start=, step=, wrap= or width=, whole numbers", where=where)
        found["wrap" if name == "width" else name] = 10 ** min(int(value), 40) - 1 if name == "width" else int(value)
    return found


def _pairs(text: str, file: str, where: str) -> dict[str, str]:
    """Old and new values of a CSV file, without its first line if that names the columns old and new."""
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if any(len(row) != 2 for row in rows):
        raise ReplayError("E-RPL-03", f"{file} has lines that are not an old and a new value", where=where)
    return {old: new for old, new in rows if (old, new) != ("old", "new")}


def read_rules(text: str, where: str, spec: Spec, beside: Beside) -> dict[str, dict[str, Rule]]:
    """Rules of a TOML file, by message (or `*`) and field. Raises ReplayError for the first that cannot be."""
    made: dict[str, dict[str, Rule]] = {}
    for name, fields in tables(text, where, spec, besides=frozenset({"protected"})).items():
        if name != "*" and spec.messages[name].kind == "reply":
            raise ReplayError("E-RPL-03", f"{name} is an answer: nothing of it is sent", where=where, do="name a request, or give a mask")
        for each, told in fields.items():
            made.setdefault(name, {})[each] = rule_of(told, f"{where}, [{name}] {each}", beside)
    return made


_LEAVES: Final = {"now": "ignore", "shift": "ignore", "recompute": "ignore"}  # what an answer has in such a field follows from the moment


def masks_of(rules: Mapping[str, Mapping[str, Rule]]) -> dict[str, str]:
    """How answers may differ in the fields that rules put something else into, by name."""
    found = {name: rule for fields in rules.values() for name, rule in fields.items() if rule.kind != "keep"}
    return {name: _LEAVES.get(rule.kind, "mapped") for name, rule in found.items()}
