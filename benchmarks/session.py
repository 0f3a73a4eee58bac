"""Running benchmarks: size, threads, progress, and what is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import torch

from smug_recon.benchmarks.growth import draw
from smug_recon.benchmarks.record import Result, markdown, write_result
from smug_recon.benchmarks.registry import ALL, benchmark
from smug_recon.benchmarks.scene import quiet
from smug_recon.benchmarks.sizes import SIZES, Size
from smug_recon.errors import ConfigurationError

FIGURE = "growth.png"


def size_of(name: str) -> Size:
    """Return a size by name; ConfigurationError."""
    if name not in SIZES:
        raise ConfigurationError(f"size {name!r}", "one of " + ", ".join(SIZES), "choose one of them")
    return SIZES[name]


def results_of(names: Iterable[str], size: str) -> list[Result]:
    """Run some benchmarks."""
    with quiet():
        return [without_aims(benchmark(name)(size_of(size))) for name in names]


def without_aims(result: Result) -> Result:
    """Return a result as it is at full size; at others without its aims, which are those of the full size."""
    if result.size == "full":
        return result
    return replace(result, rows=[replace(row, aim=None) for row in result.rows])


def measure(
    name: str,
    size: str,
    out: Path | None,
    threads: int | None,
    say: Callable[[str], None],
    rounds: int | None = None,
) -> list[Result]:
    """Run one benchmark, or ``all`` of them; show each as it is there and write it to ``out``.

    Raises:
        ConfigurationError: no such benchmark or size.
    """
    chosen = size_of(size) if rounds is None else replace(size_of(size), rounds=rounds)
    names = (
        [known for known in ALL if known != "gpu" or torch.cuda.is_available()] if name == "all" else [name]
    )
    works = [benchmark(known) for known in names]
    if threads is not None:
        torch.set_num_threads(threads)
    results = []
    for known, work in zip(names, works, strict=True):
        began_s = time.perf_counter()
        with quiet():
            result = without_aims(work(chosen))
        results.append(result)
        say(markdown(result))
        say(f"({known}: {time.perf_counter() - began_s:.0f} s)\n")
        if out is not None:
            write_result(result, out)
            if result.curves:
                draw(result, out / FIGURE)
    return results
