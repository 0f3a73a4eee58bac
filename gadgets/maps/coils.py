"""Coil sensitivity maps of a slice: ESPIRiT from its calibration lines, or low-resolution images where these
are too few.

The calibration block is the fully sampled stretch of lines about the k-space centre: the separate calibration
lines if the scan has them, else found from the flags and the sampling of the slice itself, never wider than
the pipeline asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import Slice
from smug_recon.gadgets.flow.kinds import FEW_LINES, Failure
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.maps.block_maps import FOLDED, centre_block, maps_of_block
from smug_recon.gadgets.maps.maps_ahead import MapsAhead
from smug_recon.gadgets.model.reasons import short
from smug_recon.physics import fft_centred, ifft_centred

TOO_FEW = Failure("too few calibration lines for ESPIRiT", FEW_LINES)


def coil_maps(
    items: Iterable[Any], plan: Plan, report: Report, ahead: MapsAhead | None = None
) -> Iterator[Any]:
    """Add ``maps_cyx`` to every slice: those made ahead, while it arrived, where there are any.

    A repetition without calibration lines of its own (some scanners acquire them once) takes the maps of the
    repetition before it at the same slice position.

    Maps from low-resolution images count as a fallback. Where the estimation itself fails, ``no_maps`` says why, and the
    slice is left to the root-sum-of-squares.
    """
    latest: dict[tuple[int, int, tuple[int, ...]], tuple[Tensor, Tensor | None]] = {}
    repeats = plan.repetitions > 1
    for item in items:
        if isinstance(item, Slice):
            where = (item.key.slice, item.partition, item.left_out)
            eigenvalue_yx = None
            try:
                own, eigenvalue_yx = _estimate(item, latest.get(where), plan, report, ahead)
                check_finite(item.maps_cyx, item.second_maps_cyx)
            except Exception as error:  # of the libraries underneath: the slice does without maps
                own, item.maps_cyx, item.second_maps_cyx = False, None, None
                item.no_maps = f"the coil maps failed: {short(error)}"
            if repeats and own and item.maps_cyx is not None:
                latest[where] = item.maps_cyx, item.second_maps_cyx
            item.calibration_cyx = None
            report.observer.coil_maps(item, eigenvalue_yx)
        yield item


def _estimate(
    item: Slice,
    before: tuple[Tensor, Tensor | None] | None,
    plan: Plan,
    report: Report,
    ahead: MapsAhead | None = None,
) -> tuple[bool, Tensor | None]:
    """Set the maps of a slice; whether they are from calibration lines of its own, by ESPIRiT, and its eigenvalues."""
    block_cyx = centre_block(item, plan)
    if block_cyx is not None:
        return True, _from_block(item, block_cyx, plan, report, ahead)
    if before is not None and before[0].shape == item.kspace_cyx.shape:
        item.maps_cyx, item.second_maps_cyx = before
        item.notes.append("coil maps of an earlier repetition")
        if before[1] is not None:
            item.notes.append(FOLDED)
        return False, None
    item.maps_cyx = low_resolution_maps(item)
    item.notes.append(f"coil maps from low-resolution images: {TOO_FEW.reason}")
    report.count_fallback(TOO_FEW)
    report.warn(f"{TOO_FEW.reason}: coil maps from low-resolution images")
    return False, None


def check_finite(*maps: Tensor | None) -> None:
    """DataError for maps that hold NaN or Inf."""
    if not all(bool(torch.isfinite(torch.view_as_real(found)).all()) for found in maps if found is not None):
        raise DataError("coil maps that are not finite", "finite maps", "look at the calibration lines")


def _from_block(
    item: Slice, block_cyx: Tensor, plan: Plan, report: Report, ahead: MapsAhead | None
) -> Tensor | None:
    """Set the ESPIRiT maps of a slice, made ahead or now, and return the largest eigenvalues, None for a single coil."""
    found = ahead.take(item, block_cyx) if ahead is not None else None
    if found is None:
        shape_yx = (item.kspace_cyx.shape[1], item.kspace_cyx.shape[2])
        found = maps_of_block(block_cyx, shape_yx, item.whitened, plan.pipeline.coil_maps)
    item.maps_cyx, item.second_maps_cyx = found.maps_cyx, found.second_maps_cyx
    item.notes.extend(found.notes)
    for text in found.warnings:
        report.warn(text)
    return found.eigenvalue_yx


def low_resolution_maps(item: Slice) -> Tensor:
    """Return coil images of the centre of k-space (Hann window), divided by their root sum of squares.

    Source: the sum-of-squares estimate of Pruessmann, MRM 42:952 (1999). Zero where there is no signal at
    all.
    """
    hybrid_cyx, mask_y = item.kspace_cyx, item.mask_y
    if item.calibration_cyx is not None and item.calibration_mask_y is not None:
        hybrid_cyx, mask_y = item.calibration_cyx, item.calibration_mask_y
    coils, lines_y, readout_x = hybrid_cyx.shape
    if coils == 1:
        return torch.ones_like(hybrid_cyx)
    window_y = _hann(lines_y, min(24, lines_y)) * mask_y
    window_x = _hann(readout_x, min(24, readout_x))
    kspace_cyx = fft_centred(hybrid_cyx, [2]) * (window_y[:, None] * window_x)
    images_cyx = ifft_centred(kspace_cyx, [1, 2])
    norm_yx = images_cyx.abs().square().sum(0).sqrt()
    return images_cyx / norm_yx.clamp_min(torch.finfo(torch.float32).tiny)


def _hann(size: int, width: int) -> Tensor:
    """Return a Hann window of ``width`` about sample ``size // 2``, zero outside."""
    distance = (torch.arange(size) - size // 2).abs()
    return torch.where(2 * distance < width, torch.cos(torch.pi * distance / width).square(), torch.zeros(()))
