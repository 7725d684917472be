"""What holds for listeners and services alike: room for the telegrams of their spec, and its conduct."""

from __future__ import annotations

from telegram_router.config import Listener, Service
from telegram_router.offices import wrongs
from telegram_router.plan.check import Check
from telegram_router.telegrams import Spec


def check_room(check: Check, path: tuple[str, ...], max_frame: int, spec: Spec) -> None:
    least = max(message.min_frame for message in spec.messages.values())
    if max_frame < least:
        check.report("E-CFG-07", path, "is below the size of a telegram of the spec", f"at least {least:,} bytes")


def check_conduct(check: Check, path: tuple[str, ...], settings: Listener | Service, spec: Spec) -> None:
    for wrong in wrongs(settings, spec):
        check.report(wrong.code, (*path, "conduct", *wrong.key), wrong.what, wrong.expected, wrong.do)
