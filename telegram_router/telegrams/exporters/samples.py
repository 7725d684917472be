"""A telegram to show beside a layout: the spec's own sample where it has one, else one that is made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from telegram_router.errors import FieldError
from telegram_router.telegrams.explain import Row, explain
from telegram_router.telegrams.generate import sample

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout


class Sample(NamedTuple):
    """A telegram of a message, its framing taken off."""

    telegram: bytes
    frame: bytes
    made_up: bool
    rows: tuple[Row, ...]


def sample_of(message: MessageLayout, frames: Mapping[str, bytes]) -> Sample:
    """`frames` are samples by message. One that is not a good telegram of its message is not shown."""
    given = frames.get(message.name)
    if given is not None and _fits(message, given):
        return _sample(message, given, made_up=False)
    return _sample(message, message.spec.encode(sample(message.spec, message.name)), made_up=True)


def _fits(message: MessageLayout, frame: bytes) -> bool:
    try:
        return message.spec.decode(frame).message is message
    except FieldError:
        return False


def _sample(message: MessageLayout, frame: bytes, *, made_up: bool) -> Sample:
    spec = message.spec
    return Sample(spec.framing.telegram(frame), frame, made_up, explain(spec, frame, show=True).rows)
