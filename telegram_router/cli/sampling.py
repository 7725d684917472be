"""`spec sample`: valid telegrams made up from a seed."""

from __future__ import annotations

import sys
from typing import Final

import click
import msgspec

from telegram_router.cli.specs import message_named
from telegram_router.telegrams import Spec, Telegram, to_object
from telegram_router.telegrams.generate import sample

FORMATS: Final = ("hex", "raw", "json")


def sample_spec(spec: Spec, message: str | None, seed: str, count: int | None, form: str, unframed: bool) -> int:
    """Write `count` telegrams of a message, one behind the other; without a message of all of them in turn. Returns the exit code."""
    if form == "raw" and sys.stdout.isatty():
        raise click.UsageError("Telegrams are bytes, which may steer a terminal: use --format hex, or write to a file with > FILE.")
    names = [*spec.messages] if message is None else [message_named(spec, message).name]
    out = sys.stdout.buffer
    for number in range(len(names) if count is None else count):
        telegram = sample(spec, names[number % len(names)], seed, number // len(names))
        out.write(_written(telegram, form, unframed))
    out.flush()
    return 0


def _written(telegram: Telegram, form: str, unframed: bool) -> bytes:
    if form == "json":
        return msgspec.json.encode(to_object(telegram)) + b"\n"
    frame = telegram.spec.encode(telegram)
    written = telegram.spec.framing.telegram(frame) if unframed else frame
    return written if form == "raw" else written.hex().encode() + b"\n"
