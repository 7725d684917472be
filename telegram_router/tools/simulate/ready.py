"""The ready simulators that ship with the router, by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parents[2]
FOLDERS: Final = (_PACKAGE / "simulators", _PACKAGE.parent / "simulators")  # as a wheel has them, and as a source tree does


def ready_file(name: str) -> Path | None:
    """One of their files, such as core-banking.toml."""
    return next((path for folder in FOLDERS if (path := folder / name).is_file()), None)


def scenario_file(named: Path) -> Path:
    """The file that is meant: a name alone is that of a ready scenario, unless there is such a file."""
    is_name = named.name == str(named) and not named.suffix and not named.exists()
    return (ready_file(f"{named}.toml") if is_name else None) or named
