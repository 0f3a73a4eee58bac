"""k-space of whole images, transformed once and handed out line by line."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from smug_recon.physics import fft_centred
from smug_recon.simulation.protocol.layout import middle
from smug_recon.simulation.receiver.lines import LineStore


class KSpace:
    """The lines of some images, of which only those in ``rows_y`` are kept, on disk when they are many."""

    def __init__(self, coils: int, samples: int, rows_y: NDArray[np.int64], partitions: int) -> None:
        self._store = LineStore(coils, samples)
        self._samples, self._partitions = samples, partitions
        self._rows = rows_y
        self._index = {int(row): number for number, row in enumerate(rows_y)}

    def fill(self, image: int, coil_images_zcyx: Iterable[NDArray[np.complex64]]) -> None:
        """Transform the coil images (c, y, x) of an image, one for each partition, with the centred
        orthonormal transform and keep the central samples.
        """
        for z, coil_cyx in enumerate(coil_images_zcyx):
            kspace_cyx = fft_centred(torch.from_numpy(coil_cyx), [1, 2]).numpy()
            lines_ycx = middle(kspace_cyx, self._samples)[:, self._rows].swapaxes(0, 1)
            if self._partitions == 1:
                self._store.put(self._number(image, 0, 0), lines_ycx)
                return
            for row, line_cx in enumerate(lines_ycx):
                self._store.put(self._number(image, row, z), line_cx)
        for row in range(len(self._rows)):
            first = self._number(image, row, 0)
            lines_zcx = torch.from_numpy(self._store.get(first, self._partitions).copy())
            self._store.put(first, fft_centred(lines_zcx, [0]).numpy())

    def line(self, image: int, y: int, z: int) -> NDArray[np.complex64]:
        """Return line ``y`` of partition ``z`` (coil, sample) of an image."""
        return self._store.get(self._number(image, self._index[y], z))[0]

    def close(self) -> None:
        """Let go of the temporary file."""
        self._store.close()

    def _number(self, image: int, row: int, z: int) -> int:
        return (image * len(self._rows) + row) * self._partitions + z
