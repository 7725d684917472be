"""Files that a configuration names: where specs are looked for, their texts, and digests that tell whether they have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from telegram_router.config import Config
from telegram_router.errors import ConfigError, ConfigProblem
from telegram_router.telegrams import Spec, load_spec

LARGEST_FILE = 16 * 1024 * 1024
SHIPPED = (Path(__file__).parent.parent / "specs", Path(__file__).parent.parent.parent / "specs")


def read_text(path: Path) -> str:
    """The text of a file. Raises ConfigError E-CFG-01 when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")  # Windows editors put a mark in front of a file
    except OSError as error:
        raise ConfigError(
            [ConfigProblem("E-CFG-01", str(path), 0, "", error.strerror or "cannot be read", do="check path and permissions")]
        ) from None
    except UnicodeDecodeError:
        raise ConfigError([ConfigProblem("E-CFG-01", str(path), 0, "", "is not UTF-8 text", do="save it as UTF-8")]) from None


def digest_of(path: Path) -> bytes:
    """Of what a file holds; b"" when it cannot be read, or is larger than anything that a configuration names."""
    try:
        if path.stat().st_size > LARGEST_FILE or not path.is_file():
            return b""
        return hashlib.sha256(path.read_bytes()).digest()
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return b""


def spec_folders(config: Config | None, folder: Path) -> list[Path]:
    """Where specs are looked for: the configuration's folders first, then those that ship with the router."""
    named = [folder / each for each in config.specs] if config is not None else []
    return [*named, *(each for each in SHIPPED if each.is_dir())]


def find_spec(name: str, folders: Iterable[Path]) -> Path | None:
    """The file of a spec by its name; a path to a file is taken as it is."""
    if name.endswith(".py"):
        return Path(name)
    return next((folder / f"{name}.py" for folder in folders if (folder / f"{name}.py").is_file()), None)


def candidates(name: str, folders: Iterable[Path]) -> list[Path]:
    """Where a spec is looked for, up to the file that is it."""
    if name.endswith(".py"):
        return [Path(name)]
    places = [folder / f"{name}.py" for folder in folders]
    found = next((place for place, path in enumerate(places) if path.is_file()), len(places))
    return places[: found + 1]


def known_specs(folders: Iterable[Path]) -> dict[str, Path]:
    """Every spec file in the folders by its name; the first folder wins."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            if not path.name.startswith("_"):
                found.setdefault(path.stem, path)
    return found


def read_spec(path: Path) -> Spec:
    """Compile a spec file. Raises SpecError (a ConfigError) with every problem found."""
    return load_spec(read_text(path), str(path))
