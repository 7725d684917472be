"""`spec diff`: what changed between two specs, and whether old telegrams still decode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from telegram_router.cli import EXIT_FAILED
from telegram_router.cli.shown import aligned, say, say_json
from telegram_router.telegrams import Spec
from telegram_router.telegrams.compare import Change, Comparison, MessageComparison, Severity, compare, summary
from telegram_router.telegrams.compare_kinds import Answer
from telegram_router.telegrams.explain import printable

COLOURS: Final = {Severity.BREAKING: "red", Severity.RISKY: "yellow", Severity.HARMLESS: "green"}
ANSWERS: Final = {Answer.YES: "yes", Answer.SOME: "only some", Answer.NO: "no"}
_ANSWER_COLOURS: Final = {Answer.YES: "green", Answer.SOME: "yellow", Answer.NO: "red"}
_REASONS: Final = 3
_SHIFTED: Final = 3  # fields that moved together from here on are one line


def diff_specs(old: Spec, new: Spec, samples: Iterable[bytes], as_json: bool, compatible: bool) -> int:
    """Say what differs. Returns the exit code: 1 where the specs differ, or with `compatible` where an old telegram does not decode."""
    found = compare(old, new, samples)
    if as_json:
        say_json(found.as_object())
    else:
        _say(found)
    bad = found.decodes is not Answer.YES if compatible else not found.same
    return EXIT_FAILED if bad else 0


def _say(found: Comparison) -> None:
    say(f"{printable(found.old)} -> {printable(found.new)}", bold=True)
    if found.same:
        say("no differences")
        return
    if found.family:
        say()
        say("family", bold=True)
        _say_changes(found.family)
    for message in found.messages:
        if message.changes or message.decodes not in (Answer.YES, None):
            _say_message(message)
    say()
    counts = summary(found)
    say(", ".join(f"{count} {severity.value}" for severity, count in counts.items()) + " changes")
    say(f"old telegrams still decode: {ANSWERS[found.decodes]}", bold=True, fg=_ANSWER_COLOURS[found.decodes])


def _say_message(message: MessageComparison) -> None:
    say()
    say(printable(message.name), bold=True)
    if message.decodes is not None:
        tried = f", {message.trial.decoded} of {message.trial.tried} tried" if message.trial.tried else ""
        say(f"  old telegrams still decode: {ANSWERS[message.decodes]}{tried}", fg=_ANSWER_COLOURS[message.decodes])
    for why in message.why[:_REASONS]:
        say(f"    {printable(why)}")
    if len(message.why) > _REASONS:
        say(f"    and {len(message.why) - _REASONS} more reasons")
    _say_changes(message.changes)


def _say_changes(changes: Iterable[Change]) -> None:
    rows = [(change, (change.severity.value, change.what, printable(change.path), printable(change.text))) for change in _gathered(changes)]
    for (change, _), line in zip(rows, aligned([row for _, row in rows]), strict=True):
        say(f"  {line}", fg=COLOURS[change.severity])


def _gathered(changes: Iterable[Change]) -> Iterator[Change]:
    """Neighbours that moved by as many bytes, as one change: one field that grows moves all behind it."""
    for shift, each in groupby(changes, key=_shift):
        group = list(each)
        if shift is None or len(group) < _SHIFTED:
            yield from group
            continue
        path = f"{group[0].path} … {group[-1].path}"
        yield Change("moved", path, f"{len(group)} fields by {shift:+d} bytes", group[0].severity)


def _shift(change: Change) -> int | None:
    """By how many bytes a field moved; None for other changes."""
    if change.what != "moved" or change.old is None or change.new is None:
        return None
    return change.new.offset - change.old.offset
