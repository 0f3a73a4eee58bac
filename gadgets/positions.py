"""A slab sampled in (ky, kz), reconstructed position by position along the readout.

The readout transform has been done: each x holds a 2-D problem in k-space (ky, kz) with one mask for all, which the
network takes with ``mask_byx`` (rows: phase encodes y, columns: partitions z). Coil maps come from the fully sampled
box of (kz, ky), one set for each x in a common phase. A few positions are worked on at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from smug_recon.calibration.reference import principal_coil
from smug_recon.gadgets.assemble import one_sided
from smug_recon.gadgets.calibration_box import (
    Box,
    calibration_box,
    low_resolution_maps_at,
    maps_at,
    one_phase,
    sides,
)
from smug_recon.gadgets.items import Reconstruction, Volume
from smug_recon.gadgets.matrix import crop_or_pad, interpolate
from smug_recon.gadgets.model import Model
from smug_recon.gadgets.partial_fourier import completed
from smug_recon.gadgets.plan import Plan
from smug_recon.gadgets.timing import Report
from smug_recon.gadgets.trained_range import outside_slab
from smug_recon.gadgets.unroll import CG_SENSE, SMUG, finite
from smug_recon.physics import cg_sense

AT_A_TIME = 8
"""Positions x in one batch."""


def reconstruct_positions(
    volume: Volume, plan: Plan, model: Model, report: Report
) -> Iterator[Reconstruction]:
    """Yield one reconstruction for every partition of the recon matrix: all of SMUG, then all of CG-SENSE if wanted."""
    lines_z, lines_y = volume.lines_z, plan.lines_y
    notes = [*volume.notes, "two-dimensional sampling in (ky, kz): the model was trained on lines"]
    report.warn(notes[-1])
    slab_czyx = volume.kspace_cyx.reshape(volume.kspace_cyx.shape[0], lines_z, lines_y, -1)
    mask_yz = volume.mask_y.reshape(lines_z, lines_y).T
    sampled_yz = mask_yz if volume.weight_y is None else volume.weight_y.reshape(lines_z, lines_y).T
    maps = MapsOf(volume, slab_czyx, plan, report)
    notes += maps.notes
    box = (0, 0) if maps.box is None else sides(maps.box)
    for text in outside_slab(volume, lines_y, min(box), model.card):
        notes.append(text)
        report.warn(text)
    wanted = [SMUG, CG_SENSE] if plan.pipeline.images.conventional else [SMUG]
    images = {role: torch.zeros(slab_czyx.shape[1:], dtype=torch.complex64) for role in wanted}
    failed = 0
    for start in range(0, slab_czyx.shape[3], AT_A_TIME):
        columns = slice(start, start + AT_A_TIME)
        kspace_xcyz = slab_czyx[..., columns].permute(3, 0, 2, 1).contiguous()
        found, fell_back = at_positions(
            kspace_xcyz, maps.at(columns, kspace_xcyz), sampled_yz, plan, model, wanted
        )
        failed += fell_back
        for role, image_xyz in found.items():
            images[role][..., columns] = image_xyz.permute(2, 1, 0)
    if failed:
        notes.append(
            f"FALLBACK to CG-SENSE at {failed} positions: the network gave values that are not finite"
        )
        report.fallbacks += 1
        report.warn(
            "the network gave values that are not finite: CG-SENSE in their place, marked on the images"
        )
    for role in wanted:
        yield from partition_images(
            images.pop(role), role, volume, plan, notes, bool(failed) and role == SMUG
        )


def at_positions(
    kspace_xcyz: Tensor, maps_xcyz: Tensor, sampled_yz: Tensor, plan: Plan, model: Model, wanted: list[str]
) -> tuple[dict[str, Tensor], int]:
    """Return ``image_xyz`` of each role for some positions, and at how many the network failed."""
    kspace, maps = kspace_xcyz.to(model.device), maps_xcyz.to(model.device)
    mask = sampled_yz.to(model.device)[None].expand(len(kspace), -1, -1).contiguous()
    found = {SMUG: torch.zeros((len(kspace), *sampled_yz.shape), dtype=torch.complex64)}
    failed = 0
    with torch.inference_mode():
        conventional: Tensor | None = None
        if CG_SENSE in wanted:
            conventional = torch.nan_to_num(cg_sense(kspace, maps, mask), 0.0, 0.0, 0.0).cpu()
            found[CG_SENSE] = conventional
        seen = [x for x in range(len(kspace)) if bool(kspace[x].any()) and bool(maps[x].any())]
        if seen:  # a network may see something in nothing
            chosen = kspace[seen], maps[seen], mask[seen]
            image_xyz, _ = model.forward(*chosen, plan.pipeline.seed, plan.pipeline.samples)
            found[SMUG][seen] = image_xyz.to("cpu", torch.complex64)
        bad = [x for x in range(len(kspace)) if not finite(found[SMUG][x])]
        if bad:
            failed = len(bad)
            if conventional is None:
                conventional = torch.nan_to_num(cg_sense(kspace, maps, mask), 0.0, 0.0, 0.0).cpu()
            found[SMUG][bad] = conventional[bad]
    return found, failed


class MapsOf:
    """The coil maps of a slab, made for the positions that are asked for."""

    def __init__(self, volume: Volume, slab_czyx: Tensor, plan: Plan, report: Report) -> None:
        self.notes: list[str] = []
        self.settings = plan.pipeline.coil_maps
        self.noise_level = 1.0 if volume.whitened else 0.0
        self.shape_yz = (plan.lines_y, volume.lines_z)
        mask_n = volume.mask_y
        self.source_czyx = slab_czyx
        if volume.calibration_cyx is not None and volume.calibration_mask_y is not None:
            mask_n = volume.calibration_mask_y
            self.source_czyx = volume.calibration_cyx.reshape(slab_czyx.shape)
        self.mask_zy = mask_n.reshape(volume.lines_z, plan.lines_y)
        self.box: Box | None = calibration_box(self.mask_zy, self.settings.calibration_width)
        if slab_czyx.shape[0] > 1 and self.box is None:
            self.notes.append("coil maps from low-resolution images: too few calibration lines for ESPIRiT")
            report.fallbacks += 1
            report.warn("too few calibration lines for ESPIRiT: coil maps from low-resolution images")
        self.reference_c = principal_coil(self._block(slice(None)).flatten(1))

    def at(self, columns: slice, kspace_xcyz: Tensor) -> Tensor:
        """Return ``maps_xcyz`` of some positions."""
        if kspace_xcyz.shape[1] == 1:
            return torch.ones_like(kspace_xcyz)
        if self.box is None:
            own_xcyz = self.source_czyx[..., columns].permute(3, 0, 2, 1)
            maps_xcyz = low_resolution_maps_at(own_xcyz, self.mask_zy.T)
        else:
            block_xcyz = self._block(columns).permute(3, 0, 2, 1).contiguous()
            maps_xcyz = maps_at(block_xcyz, self.shape_yz, self.settings, self.noise_level)
        return one_phase(maps_xcyz, self.reference_c)

    def _block(self, columns: slice) -> Tensor:
        """The calibration samples ``(c, kz, ky, x)`` of some positions."""
        lines_z, lines_y = self.mask_zy.shape
        if self.box is not None:
            (z0, z1), (y0, y1) = self.box
        else:
            z0, z1 = max(0, lines_z // 2 - 4), lines_z // 2 + 4
            y0, y1 = max(0, lines_y // 2 - 4), lines_y // 2 + 4
        return self.source_czyx[:, z0:z1, y0:y1, columns]


def partition_images(
    image_zyx: Tensor, role: str, volume: Volume, plan: Plan, notes: list[str], fallback: bool
) -> Iterator[Reconstruction]:
    """Complete partial Fourier, crop and interpolate along the slab, and yield its partitions in order."""
    notes = list(notes)
    mask_zy = volume.mask_y.reshape(volume.lines_z, plan.lines_y)
    for dim, name in ((1, "phase"), (0, "the partitions")):
        acquired = one_sided(mask_zy.any(1 - dim))
        if acquired is not None:
            image_zyx, text = completed(image_zyx, acquired, dim, plan.pipeline.partial_fourier)
            notes.append(f"partial Fourier in {name}: {text}")
    image_zyx = interpolate(crop_or_pad(image_zyx, plan.slab.kept, 0), plan.slab.images, 0)
    for z in range(plan.slab.images):
        yield Reconstruction(
            key=volume.key,
            head=volume.head,
            role=role,
            image_yx=image_zyx[z],
            coils=volume.kspace_cyx.shape[0],
            lines=volume.lines,
            sampled_lines=int(volume.mask_y.sum()),
            whitened=volume.whitened,
            fallback=fallback,
            notes=list(notes),
            partition=z,
            partitions=plan.slab.images,
            of_lines=int(volume.mask_y.numel()),
        )
