"""Which bucket an exchange belongs in, now that it is over on all sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from telegram_router.errors import FieldError
from telegram_router.tools.replay.comparing import Comparer, Difference
from telegram_router.tools.replay.exchanges import Asked, Conduct, Exchange
from telegram_router.tools.replay.steps import Step
from telegram_router.tools.replay.tally import Tally, Told


class Judge:
    """Compares answers as the replay was told to, and counts what came of each exchange."""

    def __init__(self, comparer: Comparer, conduct: Conduct, tally: Tally) -> None:
        self._comparer = comparer
        self._conduct = conduct
        self._tally = tally

    def judge(self, exchange: Exchange, clock: Callable[[], int]) -> None:
        """Put an exchange into its bucket."""
        target, step = exchange.asked[0], exchange.step
        bucket, why, differences, expected = str(target.outcome), target.why, list[Difference](), list[bytes]()
        if target.outcome in ("answered", "late"):
            bucket, expected, differences = self._compared(exchange, target)
            if target.outcome == "late" and bucket != "unparseable":
                bucket = "late"
        elif target.outcome == "unparseable":
            expected = step.answers
        if bucket == "same":
            self._tally.went_well(step.message.name)
            return
        took = target.answered_at - (target.due or 0) if target.answered_at else None
        told = Told(step.n, step.x, step.message.name, bucket, why, tuple(differences), target.frame, tuple(expected), tuple(target.answers), took)  # fmt: skip
        self._tally.ended(told, clock())

    def _compared(self, exchange: Exchange, target: Asked) -> tuple[str, list[bytes], list[Difference]]:
        step = exchange.step
        if step.message.reply.message is None:
            self._tally.no_answer_wanted += 1
            return "same", [], []
        by_name = {asked.side.name: asked for asked in exchange.asked}
        expected = step.answers
        if self._conduct.compare == "none":
            return "same", [], []
        if self._conduct.compare == "baseline":
            baseline = by_name["baseline"]
            expected = baseline.answers if baseline.outcome in ("answered", "late") else []
        if not expected:
            return "baseline_missing", [], []
        found = self._differences(step, target, by_name.get("baseline"), expected)
        noise = by_name.get("noise")
        if found and noise is not None:
            found = self._without_noise(step, found, by_name.get("baseline", target), noise)
        if found and any(self._comparer.unreadable(frame) for frame in target.answers):
            # Its fields need not stand where they should: any of them may hold what another is masked for.
            return "unparseable", expected, [replace(each, clear=False) for each in found]
        return ("different" if found else "same"), expected, found

    def _differences(self, step: Step, target: Asked, baseline: Asked | None, expected: list[bytes]) -> list[Difference]:
        if baseline is not None and self._conduct.compare == "baseline":
            step = Step(step.n, step.t, step.c, step.x, step.message, baseline.frame, expected, True)
        try:
            return self._comparer.differences(step, target.frame, target.side.rewriter, expected, target.answers)
        except FieldError:  # counts and choices of a telegram that cannot be placed
            name = step.message.reply.message.name if step.message.reply.message else ""
            return [Difference(name, "structure", 0, len(target.answers[0]), None, None, clear=False)]

    def _without_noise(self, step: Step, found: list[Difference], one: Asked, other: Asked) -> list[Difference]:
        """Leave out the fields in which two answers of a system that is known to be good differ."""
        if one.outcome not in ("answered", "late") or other.outcome not in ("answered", "late"):
            return found
        twin = Step(step.n, step.t, step.c, step.x, step.message, one.frame, one.answers, True)
        noisy = {
            (each.message, each.path)
            for each in self._comparer.differences(twin, other.frame, other.side.rewriter, one.answers, other.answers)
        }
        self._tally.noisy.update(f"{each.message} {each.path}" for each in found if (each.message, each.path) in noisy)
        return [each for each in found if (each.message, each.path) not in noisy]
