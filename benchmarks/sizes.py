"""How large the benchmarks are: ``quick`` for tests, ``small`` for a look, ``full`` for the figures of docs/performance.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Sizes of the problems and numbers of rounds."""

    name: str
    matrix_yx: tuple[int, int]
    coils: int
    acs: int
    steps: int  # unrolling steps of the authors' network
    copies: int  # their smoothing copies
    width: int  # channels of DIDN
    blocks: int  # R of DIDN
    rounds: int  # of what takes long
    many: int  # rounds of what is short
    lines: int  # readouts of the reading and receiving benchmarks
    many_coils: int  # of the receiving and memory benchmarks
    tr_s: float  # between two readouts, where lines arrive as from a scanner


SIZES = {
    "quick": Size("quick", (64, 48), 4, 12, 2, 4, 8, 1, 3, 5, 64, 4, 0.0),
    "small": Size("small", (128, 128), 8, 20, 2, 10, 64, 2, 1, 5, 500, 16, 0.001),
    "full": Size("full", (320, 320), 15, 24, 8, 10, 64, 3, 2, 9, 2000, 32, 0.003),
}
