"""How a slice is scanned."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from smug_recon.robustness.settings.part import Part


class ScanSettings(Part):
    """How a slice is scanned; a shift replaces one of these.

    ``calibration``: lines of the fully sampled centre, by default ``0.32 / acceleration`` of all, as in the paper.
    ``maps_width``: side of the separate calibration block from which ESPIRiT estimates the maps, so that a shift of the
    sampling does not shift the maps; ``exact_maps`` takes the true ones. ``noise``: standard deviation of the complex noise of
    a sample; the brightest tissue is about 1. ``gamma``: exponent on the magnitudes, another contrast. ``poisson``: gaps between
    lines vary little and grow with |ky|.
    """

    lines_y: int = 192
    acceleration: float = Field(default=4.0, ge=1)
    calibration: int | None = None
    pattern: Literal["random", "regular", "poisson"] = "random"
    decay: float = 3.0
    coils: int = 8
    noise: float = Field(default=0.005, gt=0)
    zoom: tuple[float, float] = (0.5, 1.0)
    gamma: float = 1.0
    maps_width: int = 24
    exact_maps: bool = False
    contrast: str | None = None
    orientation: str | None = None
