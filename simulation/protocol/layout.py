"""Sizes of a simulated scan: what is encoded, what of it is acquired, what becomes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from smug_recon.physics import fft_centred, ifft_centred

if TYPE_CHECKING:
    from smug_recon.simulation.protocol.settings import ScanSettings


@dataclass(frozen=True)
class Layout:
    """Sizes in samples, lines and partitions.

    Attributes:
        width_x: samples of a full readout. left_out_x: of them not acquired, before the echo.
        lines_y: encoded lines. left_out_y: of them not acquired, at the beginning; step ``k`` of the readouts
            is line ``k + left_out_y``.
        partitions_z: encoded partitions, 1 in two dimensions. acs_z: partitions of the calibration block.
        matrix_xy, recon_xy: of the field of view of the images, as acquired and as delivered.
    """

    width_x: int
    left_out_x: int
    lines_y: int
    left_out_y: int
    partitions_z: int
    acs_z: int
    matrix_xy: tuple[int, int]
    recon_xy: tuple[int, int]

    @classmethod
    def of(cls, settings: ScanSettings) -> Layout:
        """Return the sizes of a scan."""
        x, y = settings.matrix_xy
        width, lines = x * settings.oversampling, round(y * (1 + settings.phase_oversampling))
        return cls(
            width_x=width,
            left_out_x=math.floor(width * settings.asymmetric_echo),
            lines_y=lines,
            left_out_y=lines - math.ceil(lines * settings.partial_fourier - 1e-9),
            partitions_z=settings.matrix_z,
            acs_z=min(settings.acs, settings.matrix_z),
            matrix_xy=settings.matrix_xy,
            recon_xy=settings.recon_matrix_xy or settings.matrix_xy,
        )

    @property
    def acquired_x(self) -> int:
        """Samples of a readout."""
        return self.width_x - self.left_out_x

    @property
    def acquired_y(self) -> int:
        """Lines of the acquired part of k-space."""
        return self.lines_y - self.left_out_y

    @property
    def centre_x(self) -> int:
        """Sample of the k-space centre in a readout."""
        return self.width_x // 2 - self.left_out_x

    @property
    def centre_y(self) -> int:
        """Encoding step of the k-space centre."""
        return self.lines_y // 2 - self.left_out_y

    @property
    def reference_x(self) -> int:
        """Samples of a readout of the external reference scan, which has half the resolution."""
        return self.width_x // self.matrix_xy[0] * (self.matrix_xy[0] // 2)

    def reference_centre_y(self, acs: int) -> int:
        """Line of the k-space centre in an external reference scan of ``acs`` lines."""
        acs = min(acs, self.acquired_y)
        return self.centre_y - min(max(self.centre_y - acs // 2, 0), self.acquired_y - acs)

    @property
    def reference_centre_z(self) -> int:
        """Partition of the k-space centre in an external reference scan."""
        return self.partitions_z // 2 - max(self.partitions_z // 2 - self.acs_z // 2, 0)

    def delivered(self, image_yx: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return an image (lines_y, matrix x) as it is delivered: phase oversampling cut, interpolated by
        zero-filling.
        """
        image_yx = middle(image_yx, self.matrix_xy[1], 0)
        for axis, size in ((0, self.recon_xy[1]), (1, self.recon_xy[0])):
            image_yx = zero_filled(image_yx, size, axis)
        return image_yx


def middle(array: NDArray, size: int, axis: int = -1) -> NDArray:
    """Cut ``size`` samples about the centre ``n // 2`` of an axis."""
    start = array.shape[axis] // 2 - size // 2
    return array[(slice(None),) * (axis % array.ndim) + (slice(start, start + size),)]


def zero_filled(image: NDArray[np.complex64], size: int, axis: int) -> NDArray[np.complex64]:
    """Interpolate an axis to ``size`` samples of the same field of view by zeros around its k-space."""
    found = image.shape[axis]
    if size == found:
        return image
    kspace = fft_centred(torch.from_numpy(np.ascontiguousarray(image)), [axis]).numpy()
    padding = [(0, 0)] * image.ndim
    before = size // 2 - found // 2
    padding[axis] = (before, size - found - before)
    filled = ifft_centred(torch.from_numpy(np.pad(kspace, padding)), [axis])
    return (filled * math.sqrt(size / found)).numpy()
