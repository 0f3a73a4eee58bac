"""Scaling to the numbers that leave: uint16 with one factor for the whole series, or the values as they are.

The factor is fixed at the first image of a series that is not empty: its 99.9th percentile lands at ``peak /
headroom``. Later images of the series use the same factor, so that signal can be compared between slices;
voxels above ``peak`` are clipped, counted and reported. float32 (magnitude) and complex64 leave with the
factor 1. The map of the uncertainty has the factor of its image, so that it can be read as intensity, and is a
magnitude in every type. The partitions of a 3-D slab share what is said of an image: they wait for the last of them,
and the factor is that of all of them together (the first one lies at the dark edge of the slab).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from smug_recon.gadgets.flow.items import Reconstruction, SliceKey
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.solve.fallback import RSS
from smug_recon.gadgets.solve.unroll import SMUG, UNCERTAINTY

#: share of the voxels of the first image that lie below ``peak / headroom``, in per cent
BRIGHT = 99.9


def scale(items: Iterable[Any], plan: Plan, report: Report) -> Iterator[Any]:
    """Set ``pixels_yx``, ``scale`` and ``saturated`` of every reconstruction."""
    factors: dict[str, float] = {}
    together: list[Reconstruction]
    slabs: dict[tuple[SliceKey, str], list[Reconstruction]] = {}
    for item in items:
        if not isinstance(item, Reconstruction):
            yield item
            continue
        together = slabs.setdefault((item.key, item.role), [])
        together.append(item)
        if len(together) == item.partitions:
            del slabs[item.key, item.role]
            yield from scaled(together, factors, plan, report)
    for (
        together
    ) in slabs.values():  # partitions that never came: a network failed and has no uncertainty to tell
        yield from scaled(together, factors, plan, report)


def scaled(
    images: list[Reconstruction], factors: dict[str, float], plan: Plan, report: Report
) -> Iterator[Reconstruction]:
    """Scale the partitions of a slab, or the one image of a slice; a new series gets its factor."""
    settings = plan.pipeline.images
    images.sort(key=lambda image: image.partition)
    role = images[0].role
    spread = role == UNCERTAINTY
    if spread:
        role = SMUG  # in the units of the image, so that it can be read as intensity
    own = 1.0
    if settings.type == "uint16" and role not in factors:
        magnitude_syx = np.stack([np.abs(image.image_yx.numpy()).astype(np.float32) for image in images])
        factor = series_factor(magnitude_syx, settings.peak / settings.headroom)
        if factor is not None and (spread or all(image.method == RSS for image in images)):
            own = factor  # of these images alone: they do not tell how bright the series is
        elif factor is not None:
            factors[role] = factor
    for item in images:
        image_yx = item.image_yx.numpy()
        if settings.type == "complex64" and not spread:
            item.pixels_yx, item.scale = np.ascontiguousarray(image_yx, np.complex64), 1.0
        elif settings.type != "uint16":
            item.pixels_yx, item.scale = np.abs(image_yx).astype(np.float32), 1.0
        else:
            magnitude_yx = np.abs(image_yx).astype(np.float32)
            _to_uint16(item, magnitude_yx, factors.get(role, own), settings.peak, report)
        yield item


def series_factor(magnitude_yx: np.ndarray, target: float) -> float | None:
    """Return the factor that brings the 99.9th percentile to ``target``, rounded to a float32; None for an
    empty image."""
    bright = float(np.percentile(magnitude_yx, BRIGHT)) or float(magnitude_yx.max())
    if not np.isfinite(bright) or bright <= 0 or not np.isfinite(target / bright):
        return None
    return float(np.float32(target / bright))


def _to_uint16(
    item: Reconstruction, magnitude_yx: np.ndarray, factor: float, peak: int, report: Report
) -> None:
    scaled_yx = np.rint(magnitude_yx.astype(np.float64) * factor)
    item.saturated = int((scaled_yx > peak).sum())
    item.pixels_yx = np.clip(scaled_yx, 0, peak).astype(np.uint16)
    item.scale = factor
    if item.saturated:
        report.saturated += item.saturated
        item.notes.append(f"{item.saturated} voxels above {peak} clipped")
        report.warn(f"voxels brighter than {peak} were clipped: raise images.headroom (series {item.role})")
