"""One night of a bank, in a few seconds: what fails is found out in time, and nothing is lost, doubled, mixed up or lied about.

Many whole nights are run by `tests/benchmarks/bench_nights.py`.
"""

from __future__ import annotations

from pathlib import Path

from night import Night
from night_parties import FAULTS


def test_three_hours_of_failing_hosts_reloads_a_renewal_and_a_drain_cost_no_session_and_no_truth(tmp_path: Path):
    sums = Night(20_261_123, tmp_path, hours=3).run()
    assert sums.asked > 5_000 and sums.answered > 0.9 * sums.asked
    assert sums.unknown and sums.not_sent and sums.late and sums.retries  # all that may happen to a request has happened
    assert sums.probes > 3_000 and sums.beats > 200
    assert min(sums.spells[kind] for kind in FAULTS) >= 5
    assert [sums.spells[kind] for kind in ("reload", "renewal", "drain", "all die")] == [2, 1, 1, 1]


def test_a_seed_gives_the_same_night_again(tmp_path: Path):
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    first, second = (Night(7, tmp_path / folder, hours=1.2).run() for folder in ("one", "other"))
    assert first == second
