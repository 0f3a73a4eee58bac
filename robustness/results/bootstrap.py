"""Confidence intervals of a mean over slices of few subjects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def interval(
    values: Sequence[float], groups: Sequence[str], seed: int, resamples: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Return a percentile bootstrap interval of the mean (Davison and Hinkley 1997, section 3.8).

    Slices of one subject resemble each other: every resample draws subjects with replacement, then slices with replacement
    inside each drawn subject. With one subject this is the plain bootstrap over slices, and says nothing about other subjects.

    Args:
        values: one a slice, finite. groups: the subject of each. seed: same seed, same interval.
    """
    data = np.asarray(values, dtype=np.float64)
    if len(data) == 0:
        return float("nan"), float("nan")
    names = np.asarray(groups)
    members = [np.flatnonzero(names == name) for name in sorted(set(groups))]
    means = _resampled_means(data, members, np.random.default_rng(seed), resamples)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resampled_means(
    data: NDArray[np.float64],
    members: list[NDArray[np.intp]],
    rng: np.random.Generator,
    resamples: int,
) -> NDArray[np.float64]:
    totals, counts = np.zeros(resamples), np.zeros(resamples)
    times = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=resamples)
    for own, drawn in zip(members, times.T, strict=True):
        for turn in range(int(drawn.max())):
            chosen = drawn > turn
            picked = rng.integers(len(own), size=(int(chosen.sum()), len(own)))
            totals[chosen] += data[own][picked].sum(1)
            counts[chosen] += len(own)
    return totals / counts
