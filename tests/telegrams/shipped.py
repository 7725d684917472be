"""The specs that we ship, loaded once for all tests, and short ways to ask them."""

from functools import cache
from pathlib import Path

from telegram_router.telegrams import MessageLayout, Spec, load_spec

ROOT = Path(__file__).parents[2]


@cache
def shipped(name: str) -> Spec:
    file = ROOT / ("tests/benchmarks/specs" if name == "lab" else "specs") / f"{name}.py"
    return load_spec(file.read_text("utf-8"), str(file))


def message_of(name: str, key: tuple[str, str]) -> MessageLayout:
    return next(m for m in shipped(name).messages.values() if m.key == key)
