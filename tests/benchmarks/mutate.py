"""A million mutated telegrams and values of all shipped specs: no silent truncation, no exception but our own.

    python tests/benchmarks/mutate.py [COUNT [SEED]]        exits 1 when anything was wrong

Bits flipped, bytes swapped, cut out and inserted, telegrams truncated and shifted, double-byte characters cut by the end of a
field, digits made letters, fields overwritten; and in the JSON form values made too long, of another type or of characters that
the code page does not have. What is accepted must give its own bytes again, straight and by way of JSON; a value that is
accepted must be read back whole. It runs on all processors.
"""

import multiprocessing
import os
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "telegrams"))

from basket_family import SPEC as BASKET  # noqa: E402
from mutations import Score, Trials  # noqa: E402
from shipped import shipped  # noqa: E402

PORTION = 10_000
SHOWN = 20


def portion(task: tuple[int, int]) -> Score:
    seed, count = task
    names = sorted(path.stem for path in (ROOT / "specs").glob("*.py"))
    return Trials([*(shipped(name) for name in names), BASKET], seed).run(count)


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    tasks = [(seed * 1_000_000 + number, min(PORTION, count - at)) for number, at in enumerate(range(0, count, PORTION))]
    began, score = time.monotonic(), Score()
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for done, each in enumerate(pool.imap_unordered(portion, tasks), 1):
            score.add(each)
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{done * PORTION:,} of {count:,}")
    show(score, time.monotonic() - began)
    return 1 if score.wrong else 0


def show(score: Score, seconds: float) -> None:
    print(f"\n{'mutation':<18}{'tried':>12}{'accepted':>12}{'refused':>12}")
    for name, tried in sorted(score.tried.items()):
        print(f"{name:<18}{tried:>12,}{score.accepted[name]:>12,}{tried - score.accepted[name]:>12,}")
    tried, accepted = score.tried.total(), score.accepted.total()
    print(f"{'all':<18}{tried:>12,}{accepted:>12,}{tried - accepted:>12,}\n")
    print("problems told: " + ", ".join(f"{code} {count:,}" for code, count in Counter(score.codes).most_common()))
    print(f"\n{tried:,} trials in {seconds:.0f} s: {len(score.wrong)} silent losses or exceptions that are not ours")
    for line in score.wrong[:SHOWN]:
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
