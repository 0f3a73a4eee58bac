"""3-D scans as many 2-D problems: a volume in hybrid space (kz, ky, x) becomes slices, or images at once.

Where every phase-encode line was acquired for the same partitions, in one stretch about the centre, the transform
along kz is done here and each partition goes on as a slice in (ky, x) of its own, like those that the network was
trained on. Otherwise the sampling is two-dimensional: after the readout transform every position x is a problem of
its own in (ky, kz), with the mask of both, and the slab is reconstructed position by position.

Both hold the hybrid space once. One image leaves for every partition of the recon matrix, in the order of the slab.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from smug_recon.gadgets.flow.items import Slice, Volume
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.images.matrix import crop_or_pad, interpolate
from smug_recon.gadgets.model.file import Model
from smug_recon.gadgets.model.guard import Guarded
from smug_recon.gadgets.readouts.assemble import one_sided
from smug_recon.gadgets.volumes.positions import reconstruct_positions
from smug_recon.physics import ifft_centred


def split(items: Iterable[Any], plan: Plan, model: Model | Guarded, report: Report) -> Iterator[Any]:
    """Turn every :class:`Volume` into slices without coil maps, or into reconstructions; everything else passes."""
    for item in items:
        if not isinstance(item, Volume):
            yield item
        elif separable(item, plan.lines_y):
            yield from partition_slices(item, plan)
        else:
            yield from reconstruct_positions(item, plan, model, report)


def separable(volume: Volume, lines_y: int) -> bool:
    """Whether all acquired lines have the same partitions, without a gap and with the centre, as often averaged."""
    shape_zy = (volume.lines_z, lines_y)
    masks = [volume.mask_y]
    if volume.calibration_mask_y is not None:
        masks.append(volume.calibration_mask_y)
    for mask_n in masks:
        mask_zy = mask_n.reshape(shape_zy)
        along_z, along_y = mask_zy.any(1), mask_zy.any(0)
        found = torch.nonzero(along_z).flatten()
        whole = int(found[-1] - found[0]) + 1 == len(found) and bool(along_z[volume.lines_z // 2])
        if not whole or not torch.equal(mask_zy, along_z[:, None] & along_y):
            return False
    if volume.weight_y is None:
        return True
    acquired_zy = volume.weight_y.reshape(shape_zy)[volume.mask_y.reshape(shape_zy).any(1)]
    return bool((acquired_zy == acquired_zy[0]).all())


def partition_slices(volume: Volume, plan: Plan) -> Iterator[Slice]:
    """Transform along kz and yield the partitions of the recon matrix as slices in (ky, x), in the order of the slab."""
    shape_zy = (volume.lines_z, plan.lines_y)
    images = plan.slab.images
    mask_zy = volume.mask_y.reshape(shape_zy)
    acquired = torch.nonzero(mask_zy.any(1)).flatten()
    notes = list(volume.notes)
    if len(acquired) < volume.lines_z:
        notes.append(
            f"{volume.lines_z - len(acquired)} of {volume.lines_z} partitions not acquired, zero-filled"
        )
    slab_czyx = transformed(volume.kspace_cyx, shape_zy, plan)
    calibration_czyx = None
    if volume.calibration_cyx is not None:
        calibration_czyx = transformed(volume.calibration_cyx, shape_zy, plan)
    mask_y = mask_zy.any(0)
    weight_y = None if volume.weight_y is None else volume.weight_y.reshape(shape_zy)[int(acquired[0])]
    reference_y = None
    if volume.calibration_mask_y is not None:
        reference_y = volume.calibration_mask_y.reshape(shape_zy).any(0)
    for z in range(images):
        yield Slice(
            volume.key,
            volume.head,
            slab_czyx[:, z].contiguous(),
            mask_y,
            volume.flagged_y.reshape(shape_zy).any(0),
            volume.dwell_us,
            calibration_cyx=None if calibration_czyx is None else calibration_czyx[:, z].contiguous(),
            calibration_mask_y=reference_y,
            calibration_dwell_us=volume.calibration_dwell_us,
            left_out=volume.left_out,
            lines=volume.lines,
            whitened=volume.whitened,
            notes=list(notes),
            weight_y=weight_y,
            partial_y=one_sided(mask_y),
            partition=z,
            partitions=images,
        )


def transformed(kspace_cnx: Tensor, shape_zy: tuple[int, int], plan: Plan) -> Tensor:
    """Return ``(c, z, ky, x)`` on the partitions of the recon matrix; in place where these are the acquired ones."""
    block_czyx = kspace_cnx.reshape(kspace_cnx.shape[0], *shape_zy, -1)
    if plan.slab.kept == plan.slab.images == shape_zy[0]:
        for coil_zyx in block_czyx:
            coil_zyx.copy_(ifft_centred(coil_zyx, [0]))
        return block_czyx
    coils = [
        interpolate(crop_or_pad(ifft_centred(coil_zyx, [0]), plan.slab.kept, 0), plan.slab.images, 0)
        for coil_zyx in block_czyx
    ]
    return torch.stack(coils)
