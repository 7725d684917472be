"""Masks that a report's differences speak for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from telegram_router.tools.predicate import numbers


def suggestions(report: dict[str, Any], least: int) -> Iterator[str]:
    """Lines of a masks file, each with its evidence, for fields that differed so often."""
    by_message: dict[str, list[dict[str, Any]]] = {}
    for found in report["fields"]:
        if found["count"] >= least and found["message"] and found["field"] not in ("message", "parts", "tail", "structure"):
            by_message.setdefault(found["message"], []).append(found)
    for message, fields in sorted(by_message.items()):
        yield f'["{message}"]'
        for found in fields:
            mask, why = _proposed(found["samples"])
            yield f'"{found["field"]}" = "{mask}"  # differed {found["count"]:,} times: {why}'
        yield ""


def _proposed(samples: Sequence[dict[str, Any]]) -> tuple[str, str]:
    pairs = [(each["expected"], each["got"]) for each in samples]
    if any(one is None or other is None or one.startswith("[") or other.startswith("[") for one, other in pairs):
        return "ignore", "values are not shown; look whether it may be any"
    if all(one.strip(" 0") == other.strip(" 0") for one, other in pairs):
        return "padded-equal", "the same but for blanks and zeros"
    if all(one and other for one, other in pairs):
        if all(len(one) == len(other) and one != other for one, other in pairs) and len({other for _, other in pairs}) == len(pairs) > 1:
            return "present", "another value of the same size each time"
        both = [numbers(one, other) for one, other in pairs]
        if all(both):
            widest = max(abs(each[0] - each[1]) for each in both if each)
            return f"number +-{widest:f}", f"at most {widest:f} apart in the samples"
    return "ignore", "look at the samples first: this may be the difference that you are looking for"
