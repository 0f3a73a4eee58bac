"""The benchmarks by name: one file each with ``run(size) -> Result``."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from smug_recon.benchmarks.record import Result
from smug_recon.benchmarks.sizes import Size
from smug_recon.errors import ConfigurationError

ALL = {
    "smug": "SMUG: the authors' algorithm against ours, and the shipped model",
    "espirit": "coil maps against sigpy and BART",
    "data-consistency": "one application of A^H A, two-dimensional against one-dimensional in blocks",
    "reading": "raw files against ismrmrd.Dataset",
    "receiving": "the chain before the network at the rate of a scanner",
    "spool": "what keeping the raw data on disk costs a session",
    "latency": "from the last line of a slice to its image",
    "overlap": "the next slice received while one is reconstructed, against one thread",
    "memory": "peak memory over slices, repetitions and coils",
    "growth": "time and memory against matrix, coils, slices, copies and steps",
    "floors": "operations over peak and bytes over bandwidth, stage by stage",
    "gpu": "the table of a GPU; on the CPU its smallest sizes, to see that it works",
}
GUARDED = ("data-consistency", "reading", "espirit", "smug")


def benchmark(name: str) -> Callable[[Size], Result]:
    """Return the ``run`` of a benchmark; ConfigurationError."""
    if name not in ALL:
        raise ConfigurationError(
            f"no benchmark {name!r}", "all, guard, table or one of " + ", ".join(ALL), "choose one of them"
        )
    run: Callable[[Size], Result] = importlib.import_module(
        f"smug_recon.benchmarks.{name.replace('-', '_')}"
    ).run
    return run
