"""BART (Debian's package bart) as an independent program: arrays in and out in its file format, on one thread."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray


def write_cfl(stem: Path, array: NDArray[np.complex64]) -> None:
    """Write an array in BART's format: 16 dimensions, first index fastest."""
    dimensions = " ".join(str(size) for size in array.shape + (1,) * (16 - array.ndim))
    stem.with_suffix(".hdr").write_text(f"# Dimensions\n{dimensions}\n")
    stem.with_suffix(".cfl").write_bytes(array.astype(np.complex64).tobytes(order="F"))


def read_cfl(stem: Path) -> NDArray[np.complex64]:
    """Read an array in BART's format as (readout, phase encode, partition, coil, set of maps)."""
    sizes = [int(size) for size in stem.with_suffix(".hdr").read_text().splitlines()[1].split()]
    assert sizes[5:] == [1] * (len(sizes) - 5)
    return np.fromfile(stem.with_suffix(".cfl"), np.complex64).reshape(sizes[:5], order="F")


def bart(folder: Path, *words: str, timeout_s: float = 60) -> None:
    """Run ``bart`` with its files in a folder; skip where it is not installed."""
    if shutil.which("bart") is None:
        pytest.skip("install Debian's bart")
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        ["bart", *words], cwd=folder, check=True, capture_output=True, timeout=timeout_s, env=alone
    )
