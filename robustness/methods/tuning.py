"""The one setting of each reconstruction without training, chosen once on validation subjects."""

from __future__ import annotations

from collections.abc import Callable

from smug_recon.robustness.methods.method import Method
from smug_recon.robustness.scenes.scene import Scene
from smug_recon.training.psnr import psnr_db

GRID = tuple(10 ** (power / 4) for power in range(-16, 1))


def tune(make: Callable[[float], Method], scenes: list[Scene], grid: tuple[float, ...] = GRID) -> float:
    """Return the regularisation with the best mean PSNR over the scenes, out of a grid of four values a decade.

    The mean PSNR has one maximum in practice: the search climbs from the middle of the grid instead of trying every value.
    """
    found: dict[int, float] = {}

    def value(place: int) -> float:
        if place not in found:
            method = make(grid[place])
            found[place] = sum(
                float(psnr_db(method.from_kspace(scene.kspace_bcyx, scene, 0), scene.target_byx))
                for scene in scenes
            ) / len(scenes)
        return found[place]

    best, stride = len(grid) // 2, max(1, len(grid) // 4)
    while stride:
        around = [place for place in (best - stride, best, best + stride) if 0 <= place < len(grid)]
        winner = max(around, key=value)
        if winner == best:
            stride //= 2
        best = winner
    return float(f"{grid[best]:.3g}")
