"""Coil maps for sampling in two dimensions: the fully sampled box about the centre of (kz, ky), one set for every x."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from smug_recon.calibration import espirit_maps
from smug_recon.physics import ifft_centred
from smug_recon.pipeline import CoilMaps

SMALLEST_BOX = 5
SMALLEST_KERNEL = 3


class Box(NamedTuple):
    """Fully sampled partitions and lines, as ``start, stop``."""

    z: tuple[int, int]
    y: tuple[int, int]


def calibration_box(mask_zy: Tensor, widest: int, smallest: int = SMALLEST_BOX) -> Box | None:
    """Return the fully sampled box about the centre with the longest shorter side, at most ``widest``; None below
    ``smallest``.

    The sampled positions decide, flags are not needed: a scan without any is calibrated all the same.
    """
    lines_z, lines_y = mask_zy.shape
    centre_z, centre_y = lines_z // 2, lines_y // 2
    best: Box | None = None
    for wide_z in range(smallest, min(widest, lines_z) + 1):
        z = (centre_z - wide_z // 2, centre_z - wide_z // 2 + wide_z)
        full_y = mask_zy[z[0] : z[1]].all(0).tolist()
        if not full_y[centre_y]:
            break
        start = stop = centre_y
        while start > 0 and full_y[start - 1]:
            start -= 1
        while stop < lines_y and full_y[stop]:
            stop += 1
        wide_y = min(stop - start, widest)
        start = min(max(centre_y - wide_y // 2, start), stop - wide_y)
        if wide_y >= smallest and (best is None or _worth(wide_z, wide_y) > _worth(*sides(best))):
            best = Box(z, (start, start + wide_y))
    return best


def sides(box: Box) -> tuple[int, int]:
    """Partitions and lines of a box."""
    return box.z[1] - box.z[0], box.y[1] - box.y[0]


def _worth(wide_z: int, wide_y: int) -> tuple[int, int]:
    return min(wide_z, wide_y), wide_z * wide_y


def maps_at(block_xcyz: Tensor, shape_yz: tuple[int, int], settings: CoilMaps, noise_level: float) -> Tensor:
    """Return unit-norm ``maps_xcyz`` by ESPIRiT from the calibration block of every position, (ky, kz)."""
    if block_xcyz.shape[1] == 1:
        return torch.ones((len(block_xcyz), 1, *shape_yz), dtype=torch.complex64)
    kernel = max(SMALLEST_KERNEL, min(settings.kernel, min(block_xcyz.shape[2:]) - 2))
    found = [
        espirit_maps(
            block_cyz,
            shape_yz,
            kernel=kernel,
            threshold=settings.threshold,
            noise_level=noise_level,
            crop=settings.crop,
        )[0]
        for block_cyz in block_xcyz
    ]
    return torch.stack(found).to(torch.complex64)


def low_resolution_maps_at(kspace_xcyz: Tensor, mask_yz: Tensor, widest: int = 24) -> Tensor:
    """Return coil images of the centre of k-space (Hann window) over their root sum of squares, ``maps_xcyz``."""
    if kspace_xcyz.shape[1] == 1:
        return torch.ones_like(kspace_xcyz)
    window_yz = mask_yz.to(torch.float32)
    for axis, size in enumerate(mask_yz.shape):
        distance = (torch.arange(size) - size // 2).abs() / min(widest, size)
        hann = torch.where(distance < 0.5, torch.cos(torch.pi * distance).square(), torch.zeros(()))
        window_yz = window_yz * (hann[:, None] if axis == 0 else hann)
    images_xcyz = ifft_centred(kspace_xcyz * window_yz, [2, 3])
    norm = images_xcyz.abs().square().sum(1, keepdim=True).sqrt()
    return images_xcyz / norm.clamp_min(torch.finfo(torch.float32).tiny)


def one_phase(maps_xcyz: Tensor, reference_c: Tensor) -> Tensor:
    """Return the maps in the phase of one combination of coils, ``u^H s`` real and positive at every position.

    ESPIRiT leaves the phase of its maps free; the same ``u`` for all positions makes the image continuous along x.
    """
    overlap = torch.einsum("c,xcyz->xyz", reference_c.conj(), maps_xcyz)[:, None]
    rotation = torch.sgn(overlap).conj()
    return maps_xcyz * torch.where(rotation == 0, torch.ones_like(rotation), rotation)
