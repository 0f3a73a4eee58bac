"""Receive channels before the coil maps: those without a signal are left out, the others may be compressed.

    slices ──leave out silent──prewhiten──compress──▶ slices of fewer coils

Both treat all rows of hybrid space alike, so a volume is a slice of many rows to them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from smug_recon.calibration.channels import silent_channels
from smug_recon.calibration.compression import (
    channels_for,
    coil_modes,
    compress,
    compression_matrix,
    energy_kept,
)
from smug_recon.gadgets.flow.items import Slice, Volume
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan

log = logging.getLogger(__name__)

#: share of the energy below which compression is a warning
LOW_ENERGY = 0.9


def leave_out_silent(items: Iterable[Any], report: Report) -> Iterator[Any]:
    """Take channels of zeros or pure noise out of every slice, with a warning on log and image.

    It comes before prewhitening: whitening mixes channels, and a loud broken one would spoil the others'
    maps where there is no noise scan. A single channel always stays.
    """
    for item in items:
        if isinstance(item, Slice) and item.kspace_cyx.shape[0] > 1:
            silent_c = silent_channels(item.kspace_cyx, distance_of_rows(item), item.mask_y)
            if bool(silent_c.any()):
                _leave_out(item, silent_c, report)
        if isinstance(item, Slice):
            report.observer.channels(item)
        yield item


def _leave_out(item: Slice, silent_c: Tensor, report: Report) -> None:
    item.left_out = tuple(torch.nonzero(silent_c).flatten().tolist())
    item.kspace_cyx = item.kspace_cyx[~silent_c]
    if item.calibration_cyx is not None:
        item.calibration_cyx = item.calibration_cyx[~silent_c]
    names = ", ".join(map(str, item.left_out))
    text = (
        f"receive channel{'s' * (len(item.left_out) > 1)} {names} (counted from 0) without signal: left out"
    )
    item.notes.append(f"WARNING: {text}")
    report.warn(f"{text} of slice {item.key.slice}")


def compress_coils(items: Iterable[Any], plan: Plan, report: Report) -> Iterator[Any]:
    """Replace the channels of every slice by virtual coils, as the pipeline asks for; the energy kept is said.

    The matrix comes from the lines about the k-space centre of the first image of a slice and serves all
    images of it, so that coil maps can be shared between them.
    """
    settings = plan.pipeline.coil_compression
    matrices: dict[tuple[int, tuple[int, ...]], Tensor] = {}
    several = max(plan.contrasts, plan.phases, plan.repetitions, plan.sets) > 1
    for item in items:
        if isinstance(item, Slice) and settings.method != "none" and item.kspace_cyx.shape[0] > 1:
            lines_cyx = centre_lines(item, plan.pipeline.coil_maps.calibration_width)
            matrix_xvc = matrices.get((item.key.slice, item.left_out))
            if matrix_xvc is None:
                modes_xcc, energy_xc = coil_modes(lines_cyx, settings.method)
                channels = settings.channels or channels_for(energy_xc, settings.energy or 1.0)
                channels = min(channels, item.kspace_cyx.shape[0])
                matrix_xvc = compression_matrix(modes_xcc, energy_xc, channels)
                log.info(
                    "slice %d: %s to %d of %d coils, %.2f %% of the energy kept",
                    item.key.slice,
                    settings.method,
                    channels,
                    item.kspace_cyx.shape[0],
                    100 * energy_kept(energy_xc, channels),
                )
                if several:
                    matrices[item.key.slice, item.left_out] = matrix_xvc
            _compress(item, matrix_xvc, lines_cyx, settings.method, report)
        yield item


def _compress(item: Slice, matrix_xvc: Tensor, lines_cyx: Tensor, method: str, report: Report) -> None:
    before = float(lines_cyx.abs().square().sum())
    after = float(compress(lines_cyx, matrix_xvc).abs().square().sum())
    kept = after / before if before > 0 else 1.0
    coils, channels = item.kspace_cyx.shape[0], matrix_xvc.shape[1]
    item.kspace_cyx = compress(item.kspace_cyx, matrix_xvc)
    if item.calibration_cyx is not None:
        item.calibration_cyx = compress(item.calibration_cyx, matrix_xvc)
    item.notes.append(
        f"{channels} virtual coils of {coils} ({method.upper()}), {100 * kept:.1f} % of the energy kept"
    )
    if kept < LOW_ENERGY:
        report.warn(f"coil compression to {channels} of {coils} keeps {100 * kept:.1f} % of the energy only")


def centre_lines(item: Slice, width: int) -> Tensor:
    """Return the sampled lines (c, n, x) within ``width`` lines of the k-space centre.

    They are those of the calibration scan if there is one, and the one nearest to the centre if there is no
    other.
    """
    hybrid_cyx, mask_y = item.kspace_cyx, item.mask_y
    if item.calibration_cyx is not None and item.calibration_mask_y is not None:
        hybrid_cyx, mask_y = item.calibration_cyx, item.calibration_mask_y
    distance_y = distance_of_rows(item)
    near_y = mask_y & (distance_y <= width / 2)
    if not bool(near_y.any()):
        near_y = mask_y & (distance_y == distance_y[mask_y].min())
    return hybrid_cyx[:, near_y]


def distance_of_rows(item: Slice) -> Tensor:
    """Return how many lines every row of hybrid space lies from the k-space centre, in ky or kz, whichever is
    more."""
    lines_z = item.lines_z if isinstance(item, Volume) else 1
    lines_y = len(item.mask_y) // lines_z
    z, y = torch.arange(lines_z) - lines_z // 2, torch.arange(lines_y) - lines_y // 2
    return torch.maximum(z.abs()[:, None], y.abs()).flatten().to(torch.float32)
