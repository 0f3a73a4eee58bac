"""Interleaved measurement: A B A B ..., so that what else the machine does meets all candidates alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Times:
    """Seconds of every round: on the clock, and of processor time, that of child processes included."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    @property
    def median_wall_s(self) -> float:
        """Median on the clock."""
        return statistics.median(self.wall_s)

    @property
    def median_cpu_s(self) -> float:
        """Median of processor time."""
        return statistics.median(self.cpu_s)


@dataclass(frozen=True)
class Ratio:
    """Median of the ratios of the rounds, and the smallest and the largest of them."""

    value: float
    low: float
    high: float


def interleave(
    cases: Mapping[str, Callable[[], Any]], rounds: int, warm_up: int = 1
) -> tuple[dict[str, Times], dict[str, Any]]:
    """Run every case once a round, in turn.

    Args:
        cases: what to run, by name. rounds: how often. warm_up: unmeasured runs of each case before.

    Returns:
        The times and the last result of each case, by name.
    """
    times = {name: Times() for name in cases}
    results: dict[str, Any] = {}
    for _ in range(warm_up):
        for work in cases.values():
            work()
    for _ in range(rounds):
        for name, work in cases.items():
            wall_s, cpu_s = time.perf_counter(), cpu_seconds()
            results[name] = work()
            times[name].cpu_s.append(cpu_seconds() - cpu_s)
            times[name].wall_s.append(time.perf_counter() - wall_s)
    return times, results


def ratio(baseline_s: list[float], candidate_s: list[float]) -> Ratio:
    """Return how many times faster the candidate is, round by round; 0 where the clock could not tell."""
    found = [base / own if own > 0 else 0.0 for base, own in zip(baseline_s, candidate_s, strict=True)]
    return Ratio(statistics.median(found), min(found), max(found))


def cpu_seconds() -> float:
    """Processor time of this process, all threads, and of its child processes."""
    try:
        import resource
    except ImportError:  # not on Windows
        return time.process_time()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used) + _living_children_s()


def _living_children_s() -> float:
    """Processor time of child processes that have not ended, of one thread each; Linux tells, others do not."""
    found = 0.0
    for task in Path("/proc/self/task").glob("*"):
        try:
            for child in (task / "children").read_text().split():
                found += int(Path(f"/proc/{child}/schedstat").read_text().split()[0]) * 1e-9
        except (OSError, ValueError, IndexError):  # ended meanwhile: then the other number has it
            continue
    return found
