"""Regridding: k-space of one field of view and resolution onto the grid of another, by the Fourier sum itself.

    rho(r_j) = sqrt(d / F) sum_k y_k exp(2 pi i k r_j / F),   |r_j| <= F / 2, else 0

with F the field of view of the data in mm, r_j the pixels of the target, d their distance. White noise of unit
variance stays so in the k-space of the target grid, where the data reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from smug_recon.physics import fft_centred


@dataclass(frozen=True)
class Axis:
    """Pixels of the target: ``size`` of them, ``pixel_mm`` apart, pixel ``size // 2`` in the middle."""

    size: int
    pixel_mm: float

    @property
    def fov_mm(self) -> float:
        """Field of view of the target."""
        return self.size * self.pixel_mm


def image_waves(steps_k: Tensor, fov_mm: float, axis: Axis, shift_mm: float = 0.0) -> Tensor:
    """Return the matrix (k, pixel) that turns k-space into image pixels, complex64.

    Args:
        steps_k: encoding steps of the data, 0 at the k-space centre. fov_mm: their field of view.
        axis: the target. shift_mm: how far its middle lies from that of the data, along the axis.
    """
    place_j = (torch.arange(axis.size, dtype=torch.float64) - axis.size // 2) * axis.pixel_mm + shift_mm
    turns_kj = steps_k.to(torch.float64)[:, None] * (place_j / fov_mm)
    waves_kj = torch.polar(torch.ones_like(turns_kj), 2 * torch.pi * turns_kj.remainder(1.0))
    inside_j = place_j.abs() <= fov_mm / 2 * (1 + 1e-9)
    return (waves_kj * inside_j * (axis.pixel_mm / fov_mm) ** 0.5).to(torch.complex64)


def reach(first: int, last: int, fov_mm: float, axis: Axis) -> tuple[int, int]:
    """Return (start, stop) of the target's k-space samples between the first and last step of the data."""
    ratio = axis.fov_mm / fov_mm
    low, high = -((-first * ratio + 1e-6) // 1), (last * ratio + 1e-6) // 1
    middle = axis.size // 2
    return max(int(low) + middle, 0), min(int(high) + middle + 1, axis.size)


def regridded(
    kspace_cyx: Tensor, waves_yj: Tensor, waves_xi: Tensor, span: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Return ``(hybrid_cyx, mask_y)`` on the target grid: hybrid space, zero beyond the ``span`` of lines."""
    images_cyx = torch.einsum("cyx,yj,xi->cji", kspace_cyx, waves_yj, waves_xi)
    hybrid_cyx = fft_centred(images_cyx, [1])
    mask_y = torch.zeros(hybrid_cyx.shape[1], dtype=torch.bool)
    mask_y[span[0] : span[1]] = True
    return hybrid_cyx * mask_y[:, None], mask_y
