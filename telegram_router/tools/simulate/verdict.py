"""The end of a simulation: which expectations were met, and what went wrong otherwise."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from telegram_router.tools.simulate.expectations import Happened, Judge
from telegram_router.tools.simulate.world import Prepared

TROUBLES_TOLD = 20


@dataclass(frozen=True)
class Judged:
    """One expectation."""

    name: str
    expect: str
    place: str  # file and line
    met: bool
    failures: tuple[str, ...]
    failed: int

    def shown(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "expect": self.expect,
            "place": self.place,
            "met": self.met,
            "failed": self.failed,
            "failures": [*self.failures],
        }


class Verdict:
    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self.troubles: list[str] = []  # the first of them
        self.troubled = 0
        self.judges: list[Judge] = []
        self._by_message: dict[str, list[Judge]] = {}  # those that a message may matter to; as many as the spec has messages
        self.reset()
        self.looks_at_sent = any("sent" in wanted.names for each in prepared.scenario.verify for wanted in each.expect.predicates)

    def see(self, happened: Happened) -> None:
        judges = self._by_message.get(happened.message)
        if judges is None:
            judges = [each for each in self.judges if any(wanted.may_be(happened.message) for wanted in each.expectation.predicates)]
            self._by_message[happened.message] = judges
        for judge in judges:
            judge.see(happened)

    def trouble(self, text: str) -> None:
        self.troubled += 1
        if len(self.troubles) < TROUBLES_TOLD and text not in self.troubles:
            self.troubles.append(text)

    def reset(self) -> None:
        self.judges = [each.expect.begin() for each in self._prepared.scenario.verify]
        self._by_message.clear()
        self.troubles.clear()
        self.troubled = 0

    def end(self, now: float) -> list[Judged]:
        """Judge all that has happened so far. What is still waited for has not come."""
        judged = []
        for index, (judge, each) in enumerate(zip(copy.deepcopy(self.judges), self._prepared.scenario.verify, strict=True)):
            judge.end(now)
            place = self._prepared.place("verify", index)
            name = each.name or f"verify {index + 1}"
            judged.append(Judged(name, each.expect.text, place, not judge.failed, tuple(judge.failures), judge.failed))
        return judged
