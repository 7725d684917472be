"""From the text of a spec file to a Spec, or to everything that is wrong with it, each with file and line."""

from __future__ import annotations

import ast
import traceback
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final

from telegram_router.errors import ConfigProblem, SpecError
from telegram_router.telegrams.declare import Family
from telegram_router.telegrams.draft import draft
from telegram_router.telegrams.fields import SPEC_MARK
from telegram_router.telegrams.lint import Lines, lint
from telegram_router.telegrams.shapes import misshapen
from telegram_router.telegrams.spec import Spec

_LAMBDA: Final = "a lambda cannot be laid out"


def load_spec(source: str, filename: str) -> Spec:
    """Compile the text of a spec file, which is Python and is executed: load only files you trust.

    Raises SpecError with every problem, in the order of their lines.
    """
    tree = _parsed(source, filename)
    lines = Lines(tree)
    problems = [
        ConfigProblem(
            "E-CFG-23", filename, line, "", _LAMBDA, do="name the field that decides: between(..., depending=...), Redefines(by=...)"
        )
        for line in lines.lambdas
    ]
    family = _family(tree, filename, problems)
    return compile_family(family, filename, lines, problems)


def compile_family(family: Family, filename: str = "", lines: Lines | None = None, problems: list[ConfigProblem] | None = None) -> Spec:
    """Check and compile a family that is declared in Python already. Raises SpecError with every problem."""
    known = problems or []
    shapeless = misshapen(family, filename)
    if shapeless:
        raise _all_of([*known, *shapeless])
    drafted = draft(family)
    found = [*known, *lint(drafted, filename, lines or Lines(None))]
    if found:
        raise _all_of(found)
    return Spec(drafted)


def _all_of(found: list[ConfigProblem]) -> SpecError:
    return SpecError(sorted(set(_without_consequences(found)), key=lambda problem: (problem.line, problem.code, problem.key, problem.what)))


def _without_consequences(found: list[ConfigProblem]) -> Iterable[ConfigProblem]:
    """A lambda in a declaration is one mistake, with the path of its field: not a second one for not being a number or a text."""
    culprits = {problem.line for problem in found if problem.what == _LAMBDA}
    suffered = {problem.line: problem.key for problem in reversed(found) if _follows(problem, culprits)}
    for problem in found:
        if problem.what == _LAMBDA:
            yield replace(problem, key=suffered.get(problem.line, ""))
        elif not _follows(problem, culprits):
            yield problem


def _follows(problem: ConfigProblem, culprits: set[int]) -> bool:
    return problem.line in culprits and problem.what != _LAMBDA and problem.code in ("E-CFG-20", "E-CFG-21", "E-CFG-23")


def _parsed(source: str, filename: str) -> ast.Module:
    try:
        return ast.parse(source, filename)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0) or 0
        raise SpecError(
            [ConfigProblem("E-CFG-20", filename, line, "", f"not valid Python: {getattr(error, 'msg', 'null byte')}")]
        ) from None


def _family(tree: ast.Module, filename: str, problems: list[ConfigProblem]) -> Family:
    namespace: dict[str, Any] = {"__name__": "telegram_spec", "__file__": filename, SPEC_MARK: True}
    try:
        exec(compile(tree, filename, "exec"), namespace)  # noqa: S102  # a spec file is Python by design
    except (Exception, SystemExit) as error:  # a spec that exits must not end the router with an exit code of its own
        raise SpecError([*problems, _crash(error, filename, namespace)]) from None
    families = {name for name, value in namespace.items() if isinstance(value, Family) and name != "spec"}
    family = namespace.get("spec")
    if not isinstance(family, Family):
        hint = f"; rename {', '.join(sorted(families))}" if families else ""
        raise SpecError(
            [
                *problems,
                ConfigProblem("E-CFG-20", filename, 0, "spec", "no Family is assigned to `spec`", do=f"write spec = Family(...){hint}"),
            ]
        )
    return family


def _crash(error: BaseException, filename: str, known: Iterable[str]) -> ConfigProblem:
    """Where in the spec file its own code failed."""
    lines = [frame.lineno or 0 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    near = get_close_matches(error.name or "", known, 1) if isinstance(error, NameError) else []
    do = f"did you mean {near[0]}?" if near else ""
    return ConfigProblem("E-CFG-20", filename, lines[-1] if lines else 0, "", f"{type(error).__name__}: {error}", do=do)
