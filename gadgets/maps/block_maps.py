"""From the calibration block of a slice to its ESPIRiT maps: which lines they are, and one or two sets of maps."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from smug_recon.calibration import calibration_block, calibration_lines
from smug_recon.calibration.espirit import first_set, map_space
from smug_recon.calibration.map_sets import folded_share, map_sets
from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import Slice
from smug_recon.gadgets.header.plan import Plan
from smug_recon.pipeline import CoilMaps

log = logging.getLogger(__name__)

#: fewest calibration lines that ESPIRiT takes, with its smallest kernel
FEWEST_LINES = 4
_SMALLEST_KERNEL = 3
#: share of the object in which a second set of maps is needed, above which it is used
FOLDED_SHARE = 0.01
FOLDED = "the head is larger than the field of view and folds: two sets of coil maps"
ONE_SET = "the head is larger than the field of view and folds: one set of coil maps leaves artefacts"


@dataclass(frozen=True)
class BlockMaps:
    """Maps (c, y, x), a second set where the head folds, the largest eigenvalues (y, x; None for a single coil), and what is to
    be said: ``notes`` on the image, ``warnings`` in the report."""

    maps_cyx: Tensor
    second_maps_cyx: Tensor | None = None
    eigenvalue_yx: Tensor | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


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


def maps_of_block(
    block_cyx: Tensor, shape_yx: tuple[int, int], whitened: bool, settings: CoilMaps
) -> BlockMaps:
    """Return the ESPIRiT maps of a calibration block, two sets of them where the head folds; a single coil sees
    everything with weight one.

    After prewhitening the noise is known (variance one), and what it alone can reach stays out of the maps.
    """
    if block_cyx.shape[0] == 1:
        return BlockMaps(torch.ones((1, *shape_yx), dtype=torch.complex64))
    notes, warnings = [], []
    kernel = kernel_for(block_cyx, settings.kernel)
    if min(block_cyx.shape[1:]) < settings.kernel + 2:
        text = f"{block_cyx.shape[1]} calibration lines: few for coil maps, ESPIRiT with a kernel of {kernel}"
        notes.append(text)
        warnings.append(text)
    noise_level = 1.0 if whitened else 0.0
    space = map_space(block_cyx, kernel=kernel, threshold=settings.threshold, noise_level=noise_level)
    share = 0.0 if settings.folding == "ignore" else folded_share(space)
    folds, two_sets = share > FOLDED_SHARE, settings.folding == "two-sets"
    if folds:
        text = FOLDED if two_sets else ONE_SET
        warnings.append(text)
        notes.append(text if two_sets else f"WARNING: {text}")
        log.info("the second eigenvalue is near one in %.1f %% of the object", 100 * share)
    if folds and two_sets:
        maps_scyx, eigenvalue_syx = map_sets(space, shape_yx)
        first_cyx, second_cyx = maps_scyx[0].contiguous(), maps_scyx[1].contiguous()
        return BlockMaps(first_cyx, second_cyx, eigenvalue_syx[0], tuple(notes), tuple(warnings))
    maps_cyx, eigenvalue_yx = first_set(space, shape_yx, crop=settings.crop)
    return BlockMaps(maps_cyx.to(torch.complex64), None, eigenvalue_yx, tuple(notes), tuple(warnings))


def kernel_for(block_cyx: Tensor, wanted: int) -> int:
    """Return the width of the ESPIRiT kernel: half of a short side of the block, less one, at least 3 and at
    most ``wanted``.

    Maps of few lines come out better with a small kernel, and far better than from low-resolution images
    (docs/measured.md).
    """
    return min(wanted, max(_SMALLEST_KERNEL, min(block_cyx.shape[1:]) // 2 - 1))
