"""A cluster that nobody has at hand: a discrete-event simulation of an archive on many workers, and what limits it first.

    python -m smug_recon.benchmarks.simulated_cluster [--scans 100000] [--workers 1,10,100,1000] [--seconds 12] [--table scans.csv]

Three stations, as in ``smug-recon archive``: the scheduler (with the client) handles one scan at a time, the storage is shared
evenly among all that read or write, none faster than its own line, and a worker reads, reconstructs and writes one scan at a
time. The client keeps three scans a worker in flight, 4096 at most.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

PER_WORKER, MOST_IN_FLIGHT = 3, 4096


@dataclass(frozen=True)
class Costs:
    """What a scan costs: seconds of the scheduler, bytes read and written, bytes per second of the storage and of one line."""

    scheduler_s: float = 0.0032
    read_bytes: float = 300e6
    written_bytes: float = 20e6
    storage_bytes_s: float = 10e9
    line_bytes_s: float = 1.2e9


@dataclass(frozen=True)
class Outcome:
    """What came of a run: seconds in all, and the share of them in which each station was busy (the workers': computing)."""

    seconds: float
    scheduler: float
    storage: float
    workers: float


class Shared:
    """A storage whose bandwidth all transfers share evenly, none beyond ``line``: ends are kept in bytes of an even share."""

    def __init__(self, bandwidth: float, line: float) -> None:
        self.bandwidth, self.line = bandwidth, line
        self.share, self.at, self.moved = 0.0, 0.0, 0.0
        self.ends: list[tuple[float, int]] = []

    @property
    def rate(self) -> float:
        """Bytes per second of each transfer now."""
        return min(self.line, self.bandwidth / max(1, len(self.ends)))

    def advance(self, now: float) -> None:
        """Let time pass."""
        passed = (now - self.at) * self.rate
        self.share += passed
        self.moved += passed * len(self.ends)
        self.at = now

    def begin(self, now: float, size: float, worker: int) -> None:
        """Start a transfer for a worker."""
        self.advance(now)
        heapq.heappush(self.ends, (self.share + size, worker))

    def next_end(self) -> float:
        """When the next transfer is through, should none begin before."""
        return self.at + max(0.0, self.ends[0][0] - self.share) / self.rate if self.ends else np.inf

    def end(self, now: float) -> int:
        """Take the transfer that is through; its worker."""
        self.advance(now)
        return heapq.heappop(self.ends)[1]


class Run:
    """Scans of ``seconds`` each, in their order, on ``workers`` workers, event by event."""

    def __init__(self, seconds: Sequence[float], workers: int, costs: Costs) -> None:
        self.seconds, self.workers, self.costs = seconds, workers, costs
        self.window = min(PER_WORKER * workers, MOST_IN_FLIGHT)
        self.storage = Shared(costs.storage_bytes_s, costs.line_bytes_s)
        self.now, self.given, self.done = 0.0, 0, 0
        self.scheduler_busy_s, self.computed_s = 0.0, 0.0
        self._calendar: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._tasks: deque[Callable[[], None]] = deque()  # of the scheduler
        self._at_work = False
        self._idle, self._ready = deque(range(workers)), deque[int]()
        self._after = {worker: self._nothing for worker in range(workers)}  # what follows its transfer

    def to_the_end(self) -> Outcome:
        """Let it run."""
        self._give()
        while self.done < len(self.seconds):
            through = self.storage.next_end()
            if self._calendar and self._calendar[0][0] <= through:
                self.now, _, happens = heapq.heappop(self._calendar)
                happens()
            else:
                self.now = through
                self._after[self.storage.end(through)]()
        moved = self.storage.moved / self.costs.storage_bytes_s
        computed = self.computed_s / self.workers
        return Outcome(self.now, self.scheduler_busy_s / self.now, moved / self.now, computed / self.now)

    def _nothing(self) -> None: ...

    def _later(self, seconds: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._calendar, (self.now + seconds, next(self._order), happens))

    def _ask_scheduler(self, task: Callable[[], None]) -> None:
        """Half of its time for a scan is spent before a worker has it, half when it is done."""
        self._tasks.append(task)
        if not self._at_work:
            self._schedule()

    def _schedule(self) -> None:
        self._at_work = bool(self._tasks)
        if self._at_work:
            task = self._tasks.popleft()
            self.scheduler_busy_s += self.costs.scheduler_s / 2
            self._later(self.costs.scheduler_s / 2, partial(self._through, task))

    def _through(self, task: Callable[[], None]) -> None:
        task()
        self._schedule()

    def _give(self) -> None:
        while self.given < len(self.seconds) and self.given - self.done < self.window:
            self._ask_scheduler(partial(self._prepared, self.given))
            self.given += 1

    def _prepared(self, scan: int) -> None:
        self._ready.append(scan)
        self._start()

    def _start(self) -> None:
        while self._idle and self._ready:
            worker, scan = self._idle.popleft(), self._ready.popleft()
            self._transfer(worker, self.costs.read_bytes, partial(self._compute, worker, scan))

    def _transfer(self, worker: int, size: float, then: Callable[[], None]) -> None:
        self._after[worker] = then
        self.storage.begin(self.now, size, worker)

    def _compute(self, worker: int, scan: int) -> None:
        self.computed_s += self.seconds[scan]
        write = partial(self._transfer, worker, self.costs.written_bytes, partial(self._free, worker))
        self._later(self.seconds[scan], write)

    def _free(self, worker: int) -> None:
        self._idle.append(worker)
        self._ask_scheduler(self._booked)
        self._start()

    def _booked(self) -> None:
        self.done += 1
        self._give()


def simulate(seconds: Sequence[float], workers: int, costs: Costs) -> Outcome:
    """Reconstruct scans of ``seconds`` each on ``workers`` workers."""
    return Run(seconds, workers, costs).to_the_end()


def table(seconds: Sequence[float], counts: Sequence[int], costs: Costs) -> list[str]:
    """Return the results as markdown, one line a number of workers."""
    lines = [
        "| workers | hours | scans/s | of ideal | scheduler busy | storage busy | workers computing | limited by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for workers in counts:
        found = simulate(seconds, workers, costs)
        busy = {"scheduler": found.scheduler, "storage": found.storage, "workers": found.workers}
        line = [f"{workers}", f"{found.seconds / 3600:.2f}", f"{len(seconds) / found.seconds:.2f}"]
        line += [
            f"{sum(seconds) / workers / found.seconds:.0%}",
            *(f"{share:.0%}" for share in busy.values()),
        ]
        lines.append(f"| {' | '.join(line)} | {max(busy, key=lambda name: busy[name])} |")
    return lines


def drawn(scans: int, mean_s: float, spread: float, path: Path | None, seed: int = 0) -> np.ndarray:
    """Return seconds for each scan: of the scans of an archive's table, or lognormal about a mean with a relative ``spread``."""
    rng = np.random.default_rng(seed)
    if path is not None:
        with path.open(newline="") as file:
            known = [float(row["seconds"]) for row in csv.DictReader(file) if row["status"] == "done"]
        return rng.choice(known, scans)
    width = np.sqrt(np.log1p(spread**2))
    return mean_s * rng.lognormal(-(width**2) / 2, width, scans)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--scans", type=int, default=100_000)
    parser.add_argument("--workers", default="1,10,100,1000")
    parser.add_argument("--seconds", type=float, default=12.0, help="of a scan on a worker, the mean")
    parser.add_argument("--spread", type=float, default=0.5, help="standard deviation over the mean")
    parser.add_argument("--table", type=Path, help="scans.csv of an archive: its seconds are drawn from")
    for name, value in vars(Costs()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value)
    given = vars(parser.parse_args())
    costs = Costs(**{name: given[name] for name in vars(Costs())})
    seconds = drawn(given["scans"], given["seconds"], given["spread"], given["table"])
    print("\n".join(table(seconds.tolist(), [int(text) for text in given["workers"].split(",")], costs)))


if __name__ == "__main__":
    main()
