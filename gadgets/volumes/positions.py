"""A slab sampled in (ky, kz), reconstructed position by position along the readout.

The readout transform has been done: each x holds a 2-D problem in k-space (ky, kz) with one mask for all, which the
network takes with ``mask_byx`` (rows: phase encodes y, columns: partitions z). Coil maps come from the fully sampled
box of (kz, ky), one set for each x in a common phase. A few positions are worked on at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from smug_recon.gadgets.flow.items import Reconstruction, Volume
from smug_recon.gadgets.flow.kinds import STRICT, Failure
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.header.trained_range import outside_slab
from smug_recon.gadgets.images.matrix import crop_or_pad, interpolate
from smug_recon.gadgets.images.partial_fourier import completed
from smug_recon.gadgets.maps.calibration_box import sides
from smug_recon.gadgets.maps.slab_maps import MapsOf
from smug_recon.gadgets.model.file import Model
from smug_recon.gadgets.model.guard import Guarded
from smug_recon.gadgets.readouts.assemble import one_sided
from smug_recon.gadgets.solve.fallback import (
    CG_SENSE,
    RSS,
    ZERO_FILLED,
    conventional,
    finite,
    root_sum_of_squares,
)
from smug_recon.gadgets.solve.unroll import NOT_FINITE, SMUG, UNCERTAINTY, spread_of
from smug_recon.physics import cg_sense

AT_A_TIME = 8
"""Positions x in one batch."""


def reconstruct_positions(
    volume: Volume, plan: Plan, model: Model | Guarded, report: Report
) -> Iterator[Reconstruction]:
    """Yield one reconstruction for every partition of the recon matrix: all of SMUG, then those of the further series."""
    network = Guarded.of(model, report)
    report.observer.slab(volume, plan.lines_y)
    lines_z, lines_y = volume.lines_z, plan.lines_y
    notes = [*volume.notes, "two-dimensional sampling in (ky, kz): the model was trained on lines"]
    report.warn(notes[-1])
    barred = f"strict: {notes[-1]}" if plan.pipeline.strict else ""
    slab_czyx = volume.kspace_cyx.reshape(volume.kspace_cyx.shape[0], lines_z, lines_y, -1)
    mask_yz = volume.mask_y.reshape(lines_z, lines_y).T
    sampled_yz = mask_yz if volume.weight_y is None else volume.weight_y.reshape(lines_z, lines_y).T
    maps = MapsOf(volume, slab_czyx, plan, report)
    notes += maps.notes
    box = (0, 0) if maps.box is None else sides(maps.box)
    for text in outside_slab(volume, lines_y, min(box), network.card):
        notes.append(text)
        report.warn(text)
    settings = plan.pipeline.images
    wanted = [SMUG] + [CG_SENSE] * settings.conventional + [UNCERTAINTY] * settings.uncertainty
    images = {role: torch.zeros(slab_czyx.shape[1:], dtype=torch.complex64) for role in wanted}
    failures = Failures()
    for start in range(0, slab_czyx.shape[3], AT_A_TIME):
        columns = slice(start, start + AT_A_TIME)
        kspace_xcyz = slab_czyx[..., columns].permute(3, 0, 2, 1).contiguous()
        found = at_positions(
            kspace_xcyz, maps.at(columns, kspace_xcyz), sampled_yz, plan, network, wanted, failures, barred
        )
        for role, image_xyz in found.items():
            images[role][..., columns] = image_xyz.permute(2, 1, 0)
    if network.note:
        notes.append(network.note)
    if failures.first is not None:
        report.fall_back(failures.method, failures.first)
    for role in wanted:
        if role == UNCERTAINTY and failures.network:
            report.warn("no uncertainty map of a slab with a fallback in it")
            continue
        for image in partition_images(images.pop(role), role, volume, plan, notes, failures):
            image.device = str(network.device)
            yield spread_of(image, plan) if role == UNCERTAINTY else image


@dataclass
class Failures:
    """At how many positions the network and CG-SENSE failed, and why the first time."""

    network: int = 0
    cg_sense: int = 0
    first: Failure | None = None

    @property
    def reason(self) -> str:
        """Why, in one line."""
        return "" if self.first is None else self.first.reason

    @property
    def method(self) -> str:
        """What stands in the place of the network, the worst of it."""
        return RSS if self.cg_sense else CG_SENSE

    def of(self, role: str) -> bool:
        """Whether a series has stand-ins in it."""
        return bool(self.network if role == SMUG else role == CG_SENSE and self.cg_sense)


def at_positions(
    kspace_xcyz: Tensor,
    maps_xcyz: Tensor | Failure,
    sampled_yz: Tensor,
    plan: Plan,
    network: Guarded,
    wanted: list[str],
    failures: Failures,
    barred: str = "",
) -> dict[str, Tensor]:
    """Return ``image_xyz`` of each role for some positions; where the network fails, what stands in for it."""
    if isinstance(maps_xcyz, Failure):
        return without_maps(kspace_xcyz, maps_xcyz, wanted, failures)
    mask_xyz = sampled_yz[None].expand(len(kspace_xcyz), -1, -1).contiguous()
    found = {SMUG: torch.zeros((len(kspace_xcyz), *sampled_yz.shape), dtype=torch.complex64)}
    spread_xyz = torch.zeros(found[SMUG].shape)

    def solve(where: torch.device) -> Tensor:
        return cg_sense(kspace_xcyz.to(where), maps_xcyz.to(where), mask_xyz.to(where))

    conventional_xyz: Tensor | None = None
    if CG_SENSE in wanted:
        conventional_xyz = found[CG_SENSE] = _conventional(kspace_xcyz, solve, network, failures)
    seen = [x for x in range(len(kspace_xcyz)) if bool(kspace_xcyz[x].any()) and bool(maps_xcyz[x].any())]
    bad: list[int] = []
    if seen:  # a network may see something in nothing

        def work(model: Model) -> tuple[Tensor, Tensor]:
            kspace, maps, mask = (part[seen] for part in (kspace_xcyz, maps_xcyz, mask_xyz))
            image_xyz, spread = model.forward(kspace, maps, mask, plan.pipeline.seed, plan.pipeline.samples)
            return image_xyz.to("cpu", torch.complex64), spread.to("cpu", torch.float32)

        pair, why_not = (None, Failure(barred, STRICT)) if barred else network.attempt(work)
        if pair is None:
            bad = seen
        else:
            found[SMUG][seen], spread_xyz[seen] = pair
            bad, why_not = [x for x in seen if not finite(found[SMUG][x])], NOT_FINITE
    if bad:
        failures.network += len(bad)
        failures.first = failures.first or why_not
        if conventional_xyz is None:
            conventional_xyz = _conventional(kspace_xcyz, solve, network, failures)
        found[SMUG][bad] = conventional_xyz[bad]
    if UNCERTAINTY in wanted:
        found[UNCERTAINTY] = torch.nan_to_num(spread_xyz).to(torch.complex64)
    return found


def without_maps(
    kspace_xcyz: Tensor, why: Failure, wanted: list[str], failures: Failures
) -> dict[str, Tensor]:
    """Return the root-sum-of-squares of some positions for every role, marked as failures of network and CG-SENSE."""
    failures.network += len(kspace_xcyz)
    failures.cg_sense += len(kspace_xcyz)
    failures.first = failures.first or why
    found = dict.fromkeys(wanted, root_sum_of_squares(kspace_xcyz, [2, 3]))
    return found | ({UNCERTAINTY: torch.zeros_like(found[SMUG])} if UNCERTAINTY in wanted else {})


def _conventional(
    kspace_xcyz: Tensor, solve: Callable[[torch.device], Tensor], network: Guarded, failures: Failures
) -> Tensor:
    image_xyz, method, _ = conventional(kspace_xcyz, [2, 3], solve, network.device)
    failures.cg_sense += len(image_xyz) * (method == RSS)
    return image_xyz


def partition_images(
    image_zyx: Tensor, role: str, volume: Volume, plan: Plan, notes: list[str], failures: Failures
) -> Iterator[Reconstruction]:
    """Complete partial Fourier, crop and interpolate along the slab, and yield its partitions in order."""
    notes = list(notes)
    fallback = failures.of(role)
    has_phase = role != UNCERTAINTY and not (fallback and failures.cg_sense)
    if fallback:
        number = failures.network if role == SMUG else failures.cg_sense
        reason = failures.reason if role == SMUG else "CG-SENSE failed"
        notes.append(f"FALLBACK to {failures.method} at {number} positions: {reason}")
        notes += [ZERO_FILLED] * bool(failures.cg_sense)
    mask_zy = volume.mask_y.reshape(volume.lines_z, plan.lines_y)
    for dim, name in ((1, "phase"), (0, "the partitions")):
        acquired = one_sided(mask_zy.any(1 - dim))
        if acquired is not None and has_phase:
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
            method=failures.method if fallback else "",
            reason=reason if fallback else "",
            has_phase=has_phase,
            notes=list(notes),
            partition=z,
            partitions=plan.slab.images,
            of_lines=int(volume.mask_y.numel()),
        )
