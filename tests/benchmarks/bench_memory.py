"""What a compiled spec weighs: plans, generated code, and what JSON needs of it.

    python tests/benchmarks/bench_memory.py        exits 1 when a goal is missed

Every spec that ships with the router, and a record of 60 fields with a table of 100.
"""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from telegram_router.telegrams import (
    Code,
    Digits,
    Family,
    FixedSize,
    Framing,
    Message,
    Occurs,
    Spec,
    Struct,
    Text,
    between,
    compile_family,
    load_spec,
)
from telegram_router.telegrams.json_form import form_of

ROOT = Path(__file__).parents[2]
MOST = 2.0  # MiB


def record() -> Spec:
    """60 fields, the last of them a table of up to 100 items of 8 fields."""
    fields = [f"field_{n}" / (Digits(9), Text(20), Code(8))[n % 3] for n in range(50)]  # type: ignore[operator]
    item = Struct(*(f"part_{n}" / (Digits(7), Text(10))[n % 2] for n in range(8)))  # type: ignore[operator]
    body = Struct(*fields, "count" / Digits(3), "rows" / Occurs(between(0, 100, depending="count"), item))
    size = body.sizeof()
    messages = [Message("record", "", (), body, kind="oneway")]
    return compile_family(
        Family(name="record", header=Struct(), key=(), correlation=(), framing=Framing(FixedSize(size)), messages=messages)
    )


def weight(make: Callable[[], Spec]) -> tuple[int, float, float]:
    """Messages, and MiB that stay: of the spec, and of the spec with its JSON forms."""
    make()  # what is made once for all specs is not this one's
    gc.collect()
    tracemalloc.start()
    kept: list[Any] = [make()]
    gc.collect()
    compiled = tracemalloc.get_traced_memory()[0]
    kept += [form_of(message) for message in kept[0].messages.values()]
    gc.collect()
    whole = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return len(kept[0].messages), compiled / 2**20, whole / 2**20


def main() -> int:
    makers: dict[str, Callable[[], Spec]] = {
        file.stem: lambda file=file: load_spec(file.read_text("utf-8"), str(file))  # type: ignore[misc]
        for file in sorted((ROOT / "specs").glob("*.py"))
    }
    makers["60 fields with a table of 100"] = record
    print("| spec | messages | MiB | MiB with JSON forms |\n|--|--|--|--|")
    heavy = []
    for name, make in makers.items():
        messages, compiled, whole = weight(make)
        print(f"| {name} | {messages} | {compiled:.2f} | {whole:.2f} |")
        if whole > MOST:
            heavy.append(name)
    print(f"\n{'MISSED' if heavy else 'reached'}: each at most {MOST} MiB {', '.join(heavy)}".rstrip())
    return 1 if heavy else 0


if __name__ == "__main__":
    sys.exit(main())
