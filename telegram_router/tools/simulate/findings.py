"""What pydantic finds in a scenario, as problems with file, line, key and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from telegram_router.config.lines import Path as KeyPath
from telegram_router.errors import ConfigProblem


def problem_of(file: str, line: int, above: KeyPath, top: type[BaseModel], detail: ErrorDetails, raw: Any = None) -> ConfigProblem:
    """One finding of pydantic's."""
    path = path_of(detail["loc"], raw)
    key = dotted((*above, *path))
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


def path_of(loc: tuple[str | int, ...], raw: Any) -> KeyPath:
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


def value_at(raw: Any, path: KeyPath) -> Any:
    step: Any
    for step in path:
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            return None
    return raw


def dotted(path: KeyPath) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
