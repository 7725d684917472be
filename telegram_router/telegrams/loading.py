"""From the text of a spec file to a Spec, or to everything that is wrong with it, each with file and line."""

from __future__ import annotations

import ast
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from telegram_router.errors import ConfigProblem, SpecError
from telegram_router.telegrams.declare import Family
from telegram_router.telegrams.draft import draft
from telegram_router.telegrams.fields import SPEC_MARK
from telegram_router.telegrams.lint import Lines, lint
from telegram_router.telegrams.shapes import misshapen
from telegram_router.telegrams.spec import Spec


def load_spec(source: str, filename: str) -> Spec:
    """Compile the text of a spec file, which is Python and is executed: load only files you trust.

    Raises SpecError with every problem, in the order of their lines.
    """
    tree = _parsed(source, filename)
    lines = Lines(tree)
    problems = [
        ConfigProblem("E-CFG-23", filename, line, "", "a lambda cannot be laid out", do="use the field kinds as they are")
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
    return SpecError(sorted(set(found), key=lambda problem: (problem.line, problem.code, problem.key, problem.what)))


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
