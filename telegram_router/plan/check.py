"""One pass over all that a configuration names: what it has made so far, and everything that it found wrong."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from telegram_router.config import Draft, Party
from telegram_router.config.lines import dotted
from telegram_router.config.model import specs_by_party
from telegram_router.config.problems import Problems
from telegram_router.errors import ConfigError, ConfigWarning
from telegram_router.plan.files import digest_of
from telegram_router.plan.plan import Plan
from telegram_router.telegrams import Spec

Place = tuple[str | int, ...]  # of a key in the file


class Check(Problems):
    """What the checks of this package share. A problem in one part hides none in another."""

    def __init__(self, draft: Draft, path: Path, before: Plan | None = None) -> None:
        super().__init__(str(path), draft.lines)
        self.plan = Plan(draft.config, path.parent, path)
        self.before = before
        self.draft = draft
        self.found += draft.problems
        self.all_routes = not any(problem.key.startswith("routes") for problem in draft.problems)
        self.all_listeners = not any(problem.key.startswith("listeners") for problem in draft.problems)
        self._parties = specs_by_party(draft.config)
        self.plan.spoken = {name: min(specs) for (kind, name), specs in self._parties.items() if kind == "service" and specs}

    def warn(self, path: Place, what: str, do: str) -> None:
        self.plan.warnings.append(ConfigWarning(self.filename, self.line(path), dotted(path), what, do))

    def gather(self, step: Callable[[], None]) -> None:
        """What a step raises is one of many problems."""
        try:
            step()
        except ConfigError as error:
            self.found.extend(error.problems)

    def spec_of(self, party: Party) -> Spec | None:
        """The spec of a listener or service; None when it has none that can be read."""
        names = self._parties.get(party, set())
        return self.plan.specs.get(min(names)) if len(names) == 1 else None

    def path(self, name: str | None) -> str | None:
        return None if name is None else str(self.plan.folder / name)

    def digest(self, files: Iterable[str | Path | None]) -> bytes:
        """Whether files hold what they held before. One that has just been taken away holds nothing."""
        found = hashlib.sha256()
        for path in (Path(file) for file in files if file is not None):
            self.plan.files[path] = digest_of(path)
            found.update(self.plan.files[path].ljust(32))
        return found.digest()


def did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""
