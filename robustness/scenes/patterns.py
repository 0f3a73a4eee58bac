"""Masks that no network here was trained with: variable density with limited gaps, the one-dimensional kin of Poisson discs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smug_recon.robustness.settings.scan import ScanSettings
from smug_recon.simulation.protocol.masks import sampling_mask


def stratified_mask(
    lines_y: int, acceleration: float, calibration: int, rng: np.random.Generator, decay: float = 3.0
) -> NDArray[np.bool_]:
    """Draw one line from each of as many strata of equal probability as lines are missing outside the centre.

    The density is that of :func:`smug_recon.simulation.protocol.masks.sampling_mask`; strata keep neighbours
    apart, as Poisson discs do. Exactly ``round(lines_y / acceleration)`` lines in all, where the centre has fewer.
    """
    mask_y = np.zeros(lines_y, dtype=bool)
    start = lines_y // 2 - calibration // 2
    mask_y[max(start, 0) : start + calibration] = True
    missing = round(lines_y / acceleration) - int(mask_y.sum())
    if missing <= 0:
        return mask_y
    outside = np.flatnonzero(~mask_y)
    distance = np.abs(outside - lines_y // 2) / (lines_y - lines_y // 2)
    density = np.maximum(1 - distance, 1e-3) ** decay
    reached = np.cumsum(density) / density.sum()
    wanted = (np.arange(missing) + rng.uniform(0.2, 0.8, missing)) / missing
    places = np.minimum(np.searchsorted(reached, wanted), len(outside) - 1)
    for rank in range(1, missing):  # two strata may share a line: the later takes the next free one
        places[rank] = max(places[rank], places[rank - 1] + 1)
    for rank in range(missing - 1, -1, -1):
        places[rank] = min(places[rank], len(outside) - missing + rank)
    mask_y[outside[places]] = True
    return mask_y


def calibration_lines(settings: ScanSettings) -> int:
    """Return the lines of the fully sampled centre: as set, or ``0.32 / acceleration`` of all (arXiv 2312.07784, section IV)."""
    if settings.calibration is not None:
        return settings.calibration
    return max(2, round(0.32 / settings.acceleration * settings.lines_y))


def draw_mask(settings: ScanSettings, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the mask that the settings describe, ``mask_y``."""
    calibration = calibration_lines(settings)
    if settings.pattern == "poisson":
        return stratified_mask(settings.lines_y, settings.acceleration, calibration, rng, settings.decay)
    return sampling_mask(
        settings.lines_y, settings.acceleration, calibration, rng, settings.pattern, settings.decay
    )
