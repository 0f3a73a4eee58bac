"""Coil sensitivity maps of a slice: ESPIRiT from its calibration lines, or low-resolution images where these
are too few.

The calibration block is the fully sampled stretch of lines about the k-space centre: the separate calibration
lines if the scan has them, else found from the flags and the sampling of the slice itself, never wider than
the pipeline asks for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from smug_recon.calibration import calibration_block, calibration_lines
from smug_recon.calibration.espirit import first_set, map_space
from smug_recon.calibration.map_sets import folded_share, map_sets
from smug_recon.errors import DataError
from smug_recon.gadgets.fallback import short
from smug_recon.gadgets.items import Slice
from smug_recon.gadgets.kinds import FEW_LINES, Failure
from smug_recon.gadgets.plan import Plan
from smug_recon.gadgets.timing import Report
from smug_recon.physics import fft_centred, ifft_centred

log = logging.getLogger(__name__)

#: fewest calibration lines that ESPIRiT takes, with its smallest kernel
FEWEST_LINES = 4
_SMALLEST_KERNEL = 3
#: share of the object in which a second set of maps is needed, above which it is used
FOLDED_SHARE = 0.01
FOLDED = "the head is larger than the field of view and folds: two sets of coil maps"
TOO_FEW = Failure("too few calibration lines for ESPIRiT", FEW_LINES)
ONE_SET = "the head is larger than the field of view and folds: one set of coil maps leaves artefacts"


def coil_maps(items: Iterable[Any], plan: Plan, report: Report) -> Iterator[Any]:
    """Add ``maps_cyx`` to every slice.

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
                own, eigenvalue_yx = _estimate(item, latest.get(where), plan, report)
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
    item: Slice, before: tuple[Tensor, Tensor | None] | None, plan: Plan, report: Report
) -> tuple[bool, Tensor | None]:
    """Set the maps of a slice; whether they are from calibration lines of its own, by ESPIRiT, and its eigenvalues."""
    block_cyx = centre_block(item, plan)
    if block_cyx is not None:
        return True, _from_block(item, block_cyx, plan, report)
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


def centre_block(item: Slice, plan: Plan) -> Tensor | None:
    """Return the calibration block in k-space (c, ky, kx), or None where there are too few lines."""
    settings = plan.pipeline.coil_maps
    hybrid_cyx, mask_y, flagged_y = item.kspace_cyx, item.mask_y, item.flagged_y
    if item.calibration_cyx is not None and item.calibration_mask_y is not None:
        hybrid_cyx, mask_y, flagged_y = item.calibration_cyx, item.calibration_mask_y, item.calibration_mask_y
    for minimum in (settings.kernel + 2, FEWEST_LINES):  # flags of few lines do not narrow a block of many
        try:
            lines = calibration_lines(mask_y, flagged_y, minimum=minimum, maximum=settings.calibration_width)
            return calibration_block(hybrid_cyx, lines, settings.calibration_width)
        except DataError as error:
            log.info("%s: %s", item.key, error)
    return None


def _from_block(item: Slice, block_cyx: Tensor, plan: Plan, report: Report) -> Tensor | None:
    """Set the ESPIRiT maps of a slice, two sets of them where the head folds, and return the largest eigenvalues; a
    single coil sees everything with weight one and has none.

    After prewhitening the noise is known (variance one), and what it alone can reach stays out of the maps.
    """
    coils, lines_y, readout_x = item.kspace_cyx.shape
    if coils == 1:
        item.maps_cyx = torch.ones((1, lines_y, readout_x), dtype=torch.complex64)
        return None
    settings = plan.pipeline.coil_maps
    kernel = kernel_for(block_cyx, settings.kernel)
    if min(block_cyx.shape[1:]) < settings.kernel + 2:
        text = f"{block_cyx.shape[1]} calibration lines: few for coil maps, ESPIRiT with a kernel of {kernel}"
        item.notes.append(text)
        report.warn(text)
    space = map_space(
        block_cyx,
        kernel=kernel,
        threshold=settings.threshold,
        noise_level=1.0 if item.whitened else 0.0,
    )
    share = 0.0 if settings.folding == "ignore" else folded_share(space)
    folds, two_sets = share > FOLDED_SHARE, settings.folding == "two-sets"
    if folds:
        text = FOLDED if two_sets else ONE_SET
        report.warn(text)
        item.notes.append(text if two_sets else f"WARNING: {text}")
        log.info("%s: the second eigenvalue is near one in %.1f %% of the object", item.key, 100 * share)
    if folds and two_sets:
        maps_scyx, eigenvalue_syx = map_sets(space, (lines_y, readout_x))
        item.maps_cyx, item.second_maps_cyx = maps_scyx[0].contiguous(), maps_scyx[1].contiguous()
        return eigenvalue_syx[0]
    maps_cyx, eigenvalue_yx = first_set(space, (lines_y, readout_x), crop=settings.crop)
    item.maps_cyx = maps_cyx.to(torch.complex64)
    return eigenvalue_yx


def kernel_for(block_cyx: Tensor, wanted: int) -> int:
    """Return the width of the ESPIRiT kernel: half of a short side of the block, less one, at least 3 and at
    most ``wanted``.

    Maps of few lines come out better with a small kernel, and far better than from low-resolution images
    (docs/measured.md).
    """
    return min(wanted, max(_SMALLEST_KERNEL, min(block_cyx.shape[1:]) // 2 - 1))


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
