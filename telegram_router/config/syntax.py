"""Whether a text is TOML at all, and holds nothing that the system could not take."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from telegram_router.config.lines import KeyLines, Path, dotted
from telegram_router.errors import ConfigError, ConfigProblem


def load(text: str, filename: str) -> dict[str, Any]:
    """The tables of a file. Raises ConfigError E-CFG-02, or E-CFG-04 for a text that nothing can be made of."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, line = _syntax_problem(str(error), text)
    except RecursionError:
        what, line = "nested too deeply", 0
    except ValueError:  # Python reads no number of more than 4,300 digits
        what, line = "a number is too long", next(at for at, each in enumerate(text.splitlines(), 1) if re.search(r"[\d_]{4300}", each))
    else:
        _refuse_nul(raw, filename, text)
        return raw
    raise ConfigError([ConfigProblem("E-CFG-02", filename, line, "", what, do="mend the syntax at this line")])


def _refuse_nul(raw: dict[str, Any], filename: str, text: str) -> None:
    """No name, path or value can hold that character, and the system refuses it only when it is too late."""
    if "u0000" not in text.lower():  # it can only be written as \u0000 or \U00000000
        return
    holding = [path for path in _paths_of_texts(raw, ()) if "\0" in str(path[-1])]
    if holding:
        lines = KeyLines(text)
        expected = "text without that character"
        places = [path[:-1] for path in holding]
        raise ConfigError([ConfigProblem("E-CFG-04", filename, lines.of(at), dotted(at), "holds a NUL", expected) for at in places])


def _paths_of_texts(value: Any, path: Path) -> Iterator[Path]:
    """The path of each text, and at its end the text itself; names of keys are texts too."""
    if isinstance(value, str):
        yield (*path, value)
    elif isinstance(value, dict):
        for key, each in value.items():
            if "\0" in key:
                yield (*path, key)
            else:
                yield from _paths_of_texts(each, (*path, key))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _paths_of_texts(each, (*path, place))


def _syntax_problem(message: str, text: str) -> tuple[str, int]:
    what, _, place = message.partition(" (at ")
    found = re.match(r"line (\d+)", place)
    return what, int(found[1]) if found else text.rstrip().count("\n") + 1
