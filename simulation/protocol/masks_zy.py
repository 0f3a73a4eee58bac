"""Sampling masks in the plane of two phase-encode directions (ky-kz); one partition is the special case of
lines.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.protocol.masks import centre_block, sampling_mask

Mask = NDArray[np.bool_]
DENSITY = 2.0  # minimum distance at the edge over that in the centre, less 1, of the Poisson disc


def split(acceleration: float, partitions_z: int) -> tuple[int, int]:
    """Return the steps ``(R_y, R_z)`` of regular sampling whose product comes closest to the acceleration,
    ``R_y >= R_z``, as nearly square as can be.
    """
    whole = max(1, round(acceleration))
    if partitions_z == 1:
        return whole, 1
    step_z = max(step for step in range(1, math.isqrt(whole) + 1) if whole % step == 0)
    return whole // step_z, step_z


def sampling_mask_zy(
    shape_zy: tuple[int, int],
    centre_zy: tuple[int, int],
    acceleration: float,
    acs_zy: tuple[int, int],
    rng: np.random.Generator,
    pattern: str,
    decay: float = 3.0,
) -> Mask:
    """Draw which positions (kz, ky) are sampled; with one partition, ``random`` and ``regular`` are those of
    :func:`~smug_recon.simulation.protocol.masks.sampling_mask`.

    ``random``: density ``(1 - r)^decay`` with the distance ``r`` from the centre, 1 at the edge of the
    ellipse; ``poisson``: no two samples closer than a distance that grows from the centre outwards (Bridson
    2007, DOI 10.1145/1278780.1278807; here by rejection in random order). Both sample exactly ``round(n /
    acceleration)`` positions. ``regular``: every ``R_y``-th line of every ``R_z``-th partition (see
    :func:`split`). A block of ``acs_zy`` about the centre is always sampled.
    """
    if shape_zy[0] == 1 and pattern != "poisson":
        return sampling_mask(
            shape_zy[1], acceleration, acs_zy[1], rng, pattern=pattern, decay=decay, centre_y=centre_zy[1]
        )[None]
    block_z, block_y = (
        centre_block(size, acs, centre) for size, acs, centre in zip(shape_zy, acs_zy, centre_zy, strict=True)
    )
    mask_zy = np.outer(block_z, block_y)
    if pattern == "regular":
        step_y, step_z = split(acceleration, shape_zy[0])
        mask_zy[int(rng.integers(step_z)) :: step_z, int(rng.integers(step_y)) :: step_y] = True
        return mask_zy
    total = round(mask_zy.size / acceleration)
    radius_zy = _radius(shape_zy, centre_zy)
    if pattern == "poisson":
        return _poisson(mask_zy, radius_zy, total, rng)
    missing = total - int(mask_zy.sum())
    if missing > 0:
        density = np.where(mask_zy, 0.0, np.maximum(1 - radius_zy, 1e-3) ** decay).ravel()
        chosen = rng.choice(mask_zy.size, size=missing, replace=False, p=density / density.sum())
        mask_zy.ravel()[chosen] = True
    return mask_zy


def _radius(shape_zy: tuple[int, int], centre_zy: tuple[int, int]) -> NDArray[np.float64]:
    z, y = (
        (np.arange(size) - centre) / max(centre, size - centre, 1)
        for size, centre in zip(shape_zy, centre_zy, strict=True)
    )
    return np.hypot(z[:, None], y[None])


def _poisson(block_zy: Mask, radius_zy: NDArray[np.float64], total: int, rng: np.random.Generator) -> Mask:
    """Widen the distances until just enough samples are left, then drop or add a few to meet the number."""
    order = rng.permutation(block_zy.size)
    low, high = 0.0, math.hypot(*block_zy.shape)
    best = np.ones_like(block_zy)
    for _ in range(14):
        distance = (low + high) / 2
        found = _discs(block_zy, 1 + DENSITY * radius_zy, distance, order)
        if found.sum() >= total:
            low, best = distance, found
        else:
            high = distance
    outside = order[(best & ~block_zy).ravel()[order]]
    surplus = int(best.sum()) - max(total, int(block_zy.sum()))
    best.ravel()[outside[len(outside) - surplus :] if surplus > 0 else outside[:0]] = False
    return best


def _discs(block_zy: Mask, growth_zy: NDArray[np.float64], distance: float, order: NDArray) -> Mask:
    """Take positions in the given order unless one within ``distance * growth`` was taken before."""
    size_z, size_y = block_zy.shape
    mask_zy, blocked = block_zy.copy(), block_zy.copy()
    for z, y in zip(*np.divmod(order, size_y), strict=True):
        if blocked[z, y]:
            continue
        mask_zy[z, y] = True
        reach = distance * growth_zy[z, y]
        whole = int(reach)
        z0, z1 = max(z - whole, 0), min(z + whole + 1, size_z)
        y0, y1 = max(y - whole, 0), min(y + whole + 1, size_y)
        near = (np.arange(z0, z1)[:, None] - z) ** 2 + (np.arange(y0, y1)[None] - y) ** 2 < reach**2
        blocked[z0:z1, y0:y1] |= near
        blocked[z, y] = True
    return mask_zy
