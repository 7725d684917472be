"""Many nights of a bank, each from its seed: eight hours of failing hosts, reloads, a renewal and a drain on a clock that jumps.

    python tests/benchmarks/bench_nights.py [NIGHTS] [FIRST_SEED]

A night that breaks a promise is named by its seed; the same seed gives the same night again.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "flows"))
sys.path.insert(0, str(Path(__file__).parents[1] / "wire"))

from night import HOURS, Night
from night_books import Sums
from night_parties import DETECTED


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    sums: list[Sums] = []
    broken: list[int] = []
    began = time.perf_counter()
    for seed in range(first, first + count):
        with tempfile.TemporaryDirectory() as folder:
            try:
                sums.append(Night(seed, Path(folder)).run())
            except AssertionError as error:
                broken.append(seed)
                print(f"seed {seed}: {error}", flush=True)
    if sums:
        report(sums, time.perf_counter() - began)
    return bool(broken)


def report(sums: list[Sums], seconds: float) -> None:
    spells: Counter[str] = sum((each.spells for each in sums), Counter())
    totals = {
        name: sum(getattr(each, name) for each in sums)
        for name in ("asked", "answered", "not_sent", "unknown", "late", "retries", "probes", "beats")
    }
    print(
        f"{len(sums)} nights of {HOURS} h in {seconds:.0f} s of real time: {', '.join(f'{count} {name}' for name, count in totals.items())}"
    )
    print(f"what happened: {', '.join(f'{count} x {kind}' for kind, count in sorted(spells.items()))}")
    print(
        f"a silent host was given its last request {max(each.slowest_detection for each in sums):.1f} s after it fell silent (<= {DETECTED:.1f})"
    )
    print(f"a host that was well again was given its next request {max(each.slowest_return for each in sums):.1f} s later at the latest")


if __name__ == "__main__":
    sys.exit(main())
