"""A store of k-space lines that keeps small scans in memory and large ones on disk."""

from __future__ import annotations

import tempfile

import numpy as np
from numpy.typing import NDArray

MEMORY_BYTES = 128 * 2**20


class LineStore:
    """Lines (coil, sample) of complex64, addressed by number; more than ``memory_bytes`` (``MEMORY_BYTES``) go
    to a temporary file.
    """

    def __init__(self, coils: int, samples: int, memory_bytes: int | None = None) -> None:
        self._shape = (coils, samples)
        self._bytes = coils * samples * 8
        limit = MEMORY_BYTES if memory_bytes is None else memory_bytes
        self._file = tempfile.SpooledTemporaryFile(max_size=limit)  # noqa: SIM115

    def close(self) -> None:
        """Let go of the temporary file."""
        self._file.close()

    def put(self, number: int, lines_ncx: NDArray[np.complex64]) -> None:
        """Store consecutive lines from ``number`` on."""
        self._file.seek(number * self._bytes)
        self._file.write(np.ascontiguousarray(lines_ncx, np.complex64).tobytes())

    def get(self, number: int, count: int = 1) -> NDArray[np.complex64]:
        """Return ``count`` consecutive lines (line, coil, sample); what was never stored is an error."""
        self._file.seek(number * self._bytes)
        found = self._file.read(count * self._bytes)
        if len(found) != count * self._bytes:
            raise IndexError(f"lines {number} to {number + count - 1} have not been stored")
        return np.frombuffer(found, np.complex64).reshape(count, *self._shape)
