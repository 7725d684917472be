"""Telegrams of one spec, read by another: the proof by example that old telegrams still decode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from telegram_router.errors import FieldError, RouterError
from telegram_router.telegrams.generate import sample
from telegram_router.telegrams.json_form import to_object

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout
    from telegram_router.telegrams.telegram import Telegram

MADE_UP: Final = 40  # telegrams for each message


class Trial(NamedTuple):
    """How many telegrams were tried, and how many still meant the same."""

    tried: int = 0
    decoded: int = 0


def try_telegrams(was: MessageLayout, now: MessageLayout, same: Mapping[str, str], frames: Iterable[bytes], made_up: int) -> Trial:
    """Read telegrams of a message as the new spec does: those given, and some that are made up.

    `same` maps old paths to new ones; their values must be equal."""
    tried = decoded = 0
    for telegram, frame in _telegrams(was, frames, made_up):
        tried += 1
        decoded += _means_the_same(telegram, frame, now, same)
    return Trial(tried, decoded)


def _telegrams(message: MessageLayout, frames: Iterable[bytes], made_up: int) -> Iterator[tuple[Telegram, bytes]]:
    """Those of the given ones that are good, and some that are made up."""
    for frame in frames:
        try:
            yield message.spec.decode(frame), frame
        except FieldError:
            continue
    for number in range(made_up):
        telegram = sample(message.spec, message.name, "trial", number)
        yield telegram, message.spec.encode(telegram)


def _means_the_same(telegram: Telegram, frame: bytes, now: MessageLayout, same: Mapping[str, str]) -> bool:
    try:
        read = now.spec.decode(frame)
    except RouterError:
        return False
    if read.message is not now:
        return False
    before, after = to_object(telegram), to_object(read)
    return all(_alike(_at(before, was), _at(after, became)) for was, became in same.items())


def _at(form: Any, path: str) -> Any:
    """The value at a path; behind a table, which says `[0]`, the list of its items' values. None where there is nothing."""
    table, rest = _split(path)
    for step in table.split("."):
        form = form.get(step) if isinstance(form, dict) else None
    if rest is None or not isinstance(form, list):
        return form if rest is None else None
    return [_at(item, rest.removeprefix(".")) if rest else item for item in form]


def _split(path: str) -> tuple[str, str | None]:
    """What stands before the first index of a path, and what behind it."""
    before, index, behind = path.partition("[0]")
    return before, behind if index else None


def _alike(was: Any, became: Any) -> bool:
    """Equal, where no value may be null or an empty text, and a number a number or its digits."""
    if isinstance(was, list) and isinstance(became, list):
        return len(was) == len(became) and all(map(_alike, was, became))
    if isinstance(was, int | str) and isinstance(became, int | str):
        return str(was) == str(became)
    return was == became or (was in (None, "") and became in (None, ""))
