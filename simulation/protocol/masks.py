"""Cartesian sampling masks along the phase encode direction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smug_recon.errors import ConfigurationError

PATTERNS = ("random", "regular", "poisson")


def centre_block(lines_y: int, calibration: int, centre_y: int) -> NDArray[np.bool_]:
    """Return which lines belong to a block of ``calibration`` lines about the k-space centre, within the
    matrix.
    """
    mask_y = np.zeros(lines_y, dtype=bool)
    start = min(max(centre_y - calibration // 2, 0), max(lines_y - calibration, 0))
    mask_y[start : start + calibration] = True
    return mask_y


def sampling_mask(
    lines_y: int,
    acceleration: float,
    calibration: int,
    rng: np.random.Generator,
    pattern: str = "random",
    decay: float = 3.0,
    centre_y: int | None = None,
) -> NDArray[np.bool_]:
    """Draw which phase encode lines are sampled.

    ``random``: variable density, probability ~ (1 - |ky| / ky_max)^decay outside the fully sampled centre; exactly
    ``round(lines_y / acceleration)`` lines in all (net acceleration). ``regular``: every ``acceleration``-th line with a
    random offset, plus the centre (GRAPPA type; the net acceleration is smaller than the nominal one).

    Args:
        lines_y: number of phase encode lines. acceleration: >= 1.
        calibration: lines of the fully sampled centre. rng: source of randomness.
        decay: fall-off of the density, 0 is uniform. centre_y: index of the k-space centre, ``lines_y // 2`` by default.

    Returns:
        ``mask_y``, bool.
    """
    if acceleration < 1 or pattern not in ("random", "regular"):
        raise ConfigurationError(
            f"acceleration {acceleration}, pattern {pattern!r}",
            "acceleration >= 1 and a pattern out of random, regular",
            "change the sampling options",
        )
    centre_y = lines_y // 2 if centre_y is None else centre_y
    mask_y = centre_block(lines_y, min(calibration, lines_y), centre_y)
    if pattern == "regular":
        every = max(1, round(acceleration))
        mask_y[int(rng.integers(every)) :: every] = True
        return mask_y
    missing = round(lines_y / acceleration) - int(mask_y.sum())
    if missing > 0:
        distance_y = np.abs(np.arange(lines_y) - centre_y) / max(centre_y, lines_y - centre_y)
        density_y = np.where(mask_y, 0.0, np.maximum(1 - distance_y, 1e-3) ** decay)
        mask_y[rng.choice(lines_y, size=missing, replace=False, p=density_y / density_y.sum())] = True
    return mask_y
