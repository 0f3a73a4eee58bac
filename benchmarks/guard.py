"""The guard: ratios of speed against the last recorded ones of the same size; seconds are never compared.

Ratios of processor time are watched: other work on the machine hardly changes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from smug_recon.benchmarks.record import TIMES, Result, Row, read_result

RECORDED = Path(__file__).parent / "recorded"
KEPT = 0.6
"""Share of a recorded ratio that has to be there still; on another processor half of that share."""


@dataclass(frozen=True)
class Loss:
    """A ratio that has fallen clearly below the recorded one."""

    benchmark: str
    row: str
    recorded: float
    found: float

    def __str__(self) -> str:
        return f"{self.benchmark}, {self.row}: {self.found:.3g} times, recorded {self.recorded:.3g} times"


def recorded_results(folder: Path = RECORDED) -> dict[tuple[str, str], Result]:
    """Return the recorded results by name and size."""
    found = [read_result(path) for path in sorted(folder.glob("*.json"))]
    return {(result.benchmark, result.size): result for result in found}


def losses(results: Iterable[Result], recorded: dict[tuple[str, str], Result]) -> tuple[list[Loss], int]:
    """Return the clear losses, and how many ratios were compared."""
    found, compared = [], 0
    for result in results:
        before = recorded.get((result.benchmark, result.size))
        if before is None:
            continue
        kept = KEPT if before.machine["cpu"] == result.machine["cpu"] else KEPT / 2
        known = {row.name: watched(row) for row in before.rows}
        for row in result.rows:
            then, now = known.get(row.name), watched(row)
            if then is None or now is None:
                continue
            compared += 1
            if now < kept * then:
                found.append(Loss(result.benchmark, row.name, then, now))
    return found, compared


def watched(row: Row) -> float | None:
    """Return the figure that the guard looks at; None for a row that is no ratio of speeds."""
    if row.unit != TIMES:
        return None
    return row.value if row.cpu_ratio is None else row.cpu_ratio
