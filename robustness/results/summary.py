"""Means and intervals over the slices: ``results.csv``."""

from __future__ import annotations

import csv
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from smug_recon.robustness.results.bootstrap import interval
from smug_recon.robustness.results.rows import Row


@dataclass(frozen=True)
class Result:
    """One line of ``results.csv``."""

    method: str
    model: str
    data: str
    perturbation: str
    strength: str
    steps: int
    metric: str
    mean: float
    ci_low: float
    ci_high: float
    n: int
    seed: int
    commit: str


def summarise(rows: Iterable[Row], seed: int, resamples: int = 2000) -> list[Result]:
    """Return mean and 95 % interval (:func:`smug_recon.robustness.results.bootstrap.interval`) of each metric over the slices.

    The interval's seed comes from ``seed`` and the metric's name, so that all methods meet the same resamples.
    Values that are not finite are left out of mean and n.
    """
    grouped: dict[tuple[str, str, str, str, str, int, str], list[Row]] = {}
    for row in rows:
        head = (row.method, row.model, row.data, row.perturbation, row.strength, row.steps, row.metric)
        grouped.setdefault(head, []).append(row)
    results: list[Result] = []
    for head, own in grouped.items():
        finite = sorted((row for row in own if math.isfinite(row.value)), key=lambda row: row.slice)
        if not finite:
            continue
        values = [row.value for row in finite]
        low, high = interval(
            values, [row.subject for row in finite], seed + zlib.crc32(head[-1].encode()), resamples
        )
        commits = ";".join(sorted({row.commit for row in finite}))
        results.append(
            Result(*head, math.fsum(values) / len(values), low, high, len(values), finite[0].seed, commits)
        )
    return results


def write_results(results: Sequence[Result], path: Path) -> None:
    """Write the long table."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Result)])
        for result in results:
            writer.writerow(
                [f"{value:.6g}" if isinstance(value, float) else value for value in astuple(result)]
            )
