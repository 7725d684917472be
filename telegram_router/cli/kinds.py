"""Kinds of values that options take beyond click's own: durations, rates, addresses, all read as `telegram_router.written` reads them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from telegram_router import written

THIS_MACHINE: Final = "127.0.0.1"


class Kind(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.2
    """Reads a text, and tells which option could not be read, what is wrong with it and what was expected."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except written.Misread as error:
            self.fail(f"{value[:100]!r} {error}", param, ctx)


class Seconds(click.FloatRange):
    """A range of seconds in which there is neither an endless time nor one that is no number, such as click's own would take."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return found


DURATION = Kind("duration", written.seconds)
RATE = Kind("rate", written.per_second)
ROTATION = Kind("rotation", written.size_or_age)
LISTEN = Kind("address", partial(written.listening, host=THIS_MACHINE))
TARGET = Kind("address", partial(written.target, host=THIS_MACHINE))
ADMIN = Kind("place", lambda text: Path(text.removeprefix("unix:")) if text.startswith("unix:") else written.target(text))
