"""Functions of somebody else's Python files."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any


class HookError(Exception):
    """A file that cannot be run, or has no such function. Its text says why."""


def module_of(file: Path) -> ModuleType:
    """A file, run as a module of its own. Raises HookError."""
    try:
        found = importlib.util.spec_from_file_location(f"hooks_{file.stem}", file)
        assert found is not None and found.loader is not None
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # somebody else's code
        raise HookError(f"{file} cannot be run: {type(error).__name__}: {error}") from None
    return module


def function_of(text: str, folder: Path) -> Callable[..., Any]:
    """The function that `FILE.py:NAME` or `MODULE:NAME` means; a file is taken from the folder. Raises HookError."""
    place, _, name = text.rpartition(":")
    try:
        module = module_of(folder / place) if place.endswith(".py") else importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise error if isinstance(error, HookError) else HookError(f"{place} cannot be imported: {type(error).__name__}: {error}") from None
    found = getattr(module, name, None)
    if not callable(found):
        raise HookError(f"{place} has no function {name}")
    return found  # type: ignore[no-any-return]
