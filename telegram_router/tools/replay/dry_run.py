"""What a replay would send, without sending it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from telegram_router.telegrams import Spec
from telegram_router.tools.replay.comparing import Comparer
from telegram_router.tools.replay.masks import Mask, Masks
from telegram_router.tools.replay.report import shown
from telegram_router.tools.replay.rewriting import Rewriter
from telegram_router.tools.replay.settings import SECOND, ReplayError
from telegram_router.tools.replay.steps import Hangup, Step


class _NoMasks(Masks):
    """Every field that differs is of interest."""

    def of(self, message: Any) -> dict[str, Mask]:
        return {}


def dry_run(
    steps: Iterable[Step | Hangup], rewriter: Rewriter, spec: Spec, now: Callable[[], int], t0: int, *, values: bool, limit: int
) -> dict[str, Any]:
    """How many of which telegrams, and of the first few each field that would be sent otherwise than it was recorded."""
    comparer, messages = Comparer(spec, _NoMasks()), Counter[str]()
    answered, failed, samples, first, last = 0, 0, list[dict[str, Any]](), None, 0
    for step in steps:
        if isinstance(step, Hangup):
            continue
        messages[step.message.name] += 1
        answered += bool(step.answers)
        first = step.t if first is None else first
        last = max(last, step.t)
        sample: dict[str, Any] = {"n": step.n, "exchange": step.x, "message": step.message.name, "fields": []}
        try:
            frame = rewriter.rebuilt(step, now(), t0 + step.t)
        except ReplayError as error:
            failed += 1
            sample["error"] = error.text()
        else:
            if len(samples) < limit:
                sample["fields"] = [
                    _field(shown(each, values)) for each in comparer.differences(step, frame, rewriter, [step.frame], [frame])
                ]
        if len(samples) < limit:
            samples.append(sample)
    seconds = (last - (first or 0)) / SECOND
    return {"planned": messages.total(), "answered": answered, "cannot_be_rebuilt": failed, "seconds": seconds, "messages": dict(sorted(messages.items())), "samples": samples}  # fmt: skip


def _field(told: dict[str, Any]) -> dict[str, Any]:
    return {"field": told["field"], "offset": told["offset"], "length": told["length"], "recorded": told["expected"], "sent": told["got"]}
