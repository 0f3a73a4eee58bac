"""Scans of a phantom whose coil maps are known."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from smug_recon.physics import fft_centred
from smug_recon.simulation.receiver.coils import head_array


def centre_block(kspace_cyx: Tensor, rows: int, columns: int) -> Tensor:
    """Cut the central block out of k-space."""
    top, left = kspace_cyx.shape[1] // 2 - rows // 2, kspace_cyx.shape[2] // 2 - columns // 2
    return kspace_cyx[:, top : top + rows, left : left + columns].contiguous()


def phantom(
    coils: int, shape_yx: tuple[int, int], noise: float = 1e-3, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Scan a textured ellipse in a head array.

    Returns ``kspace_cyx``, the true unit-norm ``maps_cyx`` and the support of the object. The
    noise of a k-space sample is relative to the brightest voxel of the coil images.
    """
    rng = np.random.default_rng(seed)
    y = (np.arange(shape_yx[0]) - shape_yx[0] // 2) / shape_yx[0]
    x = (np.arange(shape_yx[1]) - shape_yx[1] // 2) / shape_yx[1]
    points_3yx = np.stack([*np.meshgrid(x, y, indexing="xy"), np.full(shape_yx, 0.05)])
    maps = head_array(points_3yx, coils, rng)
    inside = (points_3yx[1] / 0.4) ** 2 + (points_3yx[0] / 0.32) ** 2 < 1
    phase = 2 * math.pi * (0.4 * points_3yx[0] ** 2 - 0.3 * points_3yx[1])
    image = inside * (1 + 0.4 * rng.normal(size=shape_yx)) * np.exp(1j * phase)
    images_cyx = torch.from_numpy((maps * image).astype(np.complex64))
    kspace_cyx = fft_centred(images_cyx, [1, 2])
    sigma = noise * float(images_cyx.abs().max())
    generator = torch.Generator().manual_seed(seed)
    kspace_cyx = kspace_cyx + sigma * torch.randn(
        kspace_cyx.shape, dtype=torch.complex64, generator=generator
    )
    true_cyx = torch.from_numpy((maps / np.linalg.norm(maps, axis=0)).astype(np.complex64))
    return kspace_cyx, true_cyx, torch.from_numpy(inside)
