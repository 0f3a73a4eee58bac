"""The interval covers a known mean as often as it says, and knows that slices of one subject are alike."""

from __future__ import annotations

import numpy as np

from smug_recon.robustness.results.bootstrap import interval
from smug_recon.robustness.results.rows import Row
from smug_recon.robustness.results.summary import summarise


def test_intervals_cover_the_mean() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(120):
        subjects = rng.normal(0, 1, 12)
        values = [float(30 + subjects[k % 12] + rng.normal(0, 0.5)) for k in range(36)]
        low, high = interval(values, [str(k % 12) for k in range(36)], trial, 300)
        covered += low <= 30 <= high
    assert 0.85 <= covered / 120 <= 1


def test_clusters_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    offsets = rng.normal(0, 3, 6)
    values = [float(offsets[k % 6] + rng.normal(0, 0.1)) for k in range(60)]
    grouped = interval(values, [str(k % 6) for k in range(60)], 0)
    loose = interval(values, [str(k) for k in range(60)], 0)
    assert grouped[1] - grouped[0] > 2 * (loose[1] - loose[0])


def test_same_seed_same_interval_whatever_the_order_of_rows() -> None:
    rows = [
        Row("m", "w", "d", "clean", "0", 0, f"s{k}", str(k % 3), "psnr_db", float(k * k % 7), 0, "c")
        for k in range(9)
    ]
    (one,), (other,) = summarise(rows, 5, 100), summarise(rows[::-1], 5, 100)
    assert one == other
    assert one.ci_low <= one.mean <= one.ci_high
    assert one.n == 9
    broken = [*rows, Row("m", "w", "d", "clean", "0", 0, "t", "1", "psnr_db", float("nan"), 0, "c")]
    assert summarise(broken, 5, 100)[0] == one
    assert interval([2.0, 2.0], ["a", "b"], 0, 50) == (2.0, 2.0)
