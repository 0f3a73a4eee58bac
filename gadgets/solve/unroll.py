"""The network: one slice in hybrid space in, one SMUG image out; beside it on request CG-SENSE and the uncertainty.

Where the network fails, the conventional reconstruction stands in its place (``model/guard.py``, ``fallback.py``): the image
says so, the scan goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from smug_recon.gadgets.flow.items import Reconstruction, Slice
from smug_recon.gadgets.flow.kinds import CG_SENSE_FAILED, COIL_MAPS, STRICT, Failure
from smug_recon.gadgets.flow.kinds import NOT_FINITE as NOT_FINITE_KIND
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.maps.folding import folded_conventional, folded_network
from smug_recon.gadgets.model.file import Model
from smug_recon.gadgets.model.guard import Guarded
from smug_recon.gadgets.solve.fallback import (
    CG_SENSE,
    RSS,
    ZERO_FILLED,
    conventional,
    finite,
    root_sum_of_squares,
)
from smug_recon.physics import cg_sense

SMUG = "SMUG"
UNCERTAINTY = "SMUG uncertainty"
NOT_FINITE = Failure("the network gave values that are not finite", NOT_FINITE_KIND)

Pair = tuple[Tensor, Tensor]
"""Image (complex64) and spread (float32), y x, on the CPU."""


def unroll(items: Iterable[Any], plan: Plan, model: Model | Guarded, report: Report) -> Iterator[Any]:
    """Reconstruct every slice with coil maps; the same seed for each, so that the pixels depend on the slice
    alone.

    An image that the network cannot give is replaced by CG-SENSE, or by the root-sum-of-squares, marked on the image
    and counted as a fallback.
    """
    network = Guarded.of(model, report)
    for item in items:
        if not isinstance(item, Slice):
            yield item
            continue
        yield from reconstructions(item, plan, network, report)


def reconstructions(item: Slice, plan: Plan, network: Guarded, report: Report) -> Iterator[Reconstruction]:
    """Yield the SMUG image of a slice, then the conventional one and the uncertainty if the pipeline asks for them."""
    wanted = plan.pipeline.images
    looked_at = report.observer.wants(item.key, item.partition)
    found, why_not = of_network(item, plan, network)
    stand_in: tuple[Tensor, str, str] | None = None
    if why_not is None and found is not None:
        smug = _of(item, SMUG, found[0], network)
    else:
        assert why_not is not None
        stand_in = of_cg_sense(item, network.device)
        smug = _of(item, SMUG, stand_in[0], network)
        mark(smug, stand_in[1], why_not.reason, stand_in[2])
        report.fall_back(smug.method, why_not)
    yield smug
    if wanted.conventional or looked_at:
        if stand_in is None and not wanted.conventional:
            stand_in = report.call("for the report", of_cg_sense, item, network.device)
        image_yx, method, why = stand_in or of_cg_sense(item, network.device)
        beside = _of(item, CG_SENSE, image_yx, network)
        beside.kept_back = not wanted.conventional
        if method != CG_SENSE:
            mark(beside, method, f"CG-SENSE failed: {why}")
            if found is not None and not beside.kept_back:  # a slice counts once
                report.fall_back(method, Failure(beside.reason, CG_SENSE_FAILED))
        yield beside
    if (wanted.uncertainty or looked_at) and found is not None:
        if bool(torch.isfinite(found[1]).all()):
            spread = spread_of(_of(item, UNCERTAINTY, found[1], network), plan)
            spread.kept_back = not wanted.uncertainty
            yield spread
        elif wanted.uncertainty:
            report.warn("the network gave a spread that is not finite: no uncertainty map of that slice")


def of_network(item: Slice, plan: Plan, network: Guarded) -> tuple[Pair | None, Failure | None]:
    """Return image and spread of the network, or None and why there is none."""
    kspace_cyx, maps_cyx = item.kspace_cyx, item.maps_cyx
    if maps_cyx is None:
        return None, Failure(item.no_maps, COIL_MAPS)
    if not bool(kspace_cyx.any()) or not bool(maps_cyx.any()):  # a network may see something in nothing
        item.notes.append("no signal")
        nothing_yx = torch.zeros_like(kspace_cyx[0])
        return (nothing_yx, nothing_yx.real.clone()), None
    if item.barred:
        return None, Failure(item.barred, STRICT)

    def work(model: Model) -> Pair:
        kspace_bcyx, maps_bscyx, mask_by = _inputs(item, model.device)
        seed, samples = plan.pipeline.seed, plan.pipeline.samples
        if maps_bscyx.shape[1] > 1:
            image_byx, spread_byx = folded_network(kspace_bcyx, maps_bscyx, mask_by, model, seed, samples)
        else:
            image_byx, spread_byx = model.forward(kspace_bcyx, maps_bscyx[:, 0], mask_by, seed, samples)
        return image_byx[0].to("cpu", torch.complex64), spread_byx[0].to("cpu", torch.float32)

    found, why_not = network.attempt(work)
    if network.note:
        item.notes.append(network.note)
    if found is None:
        return None, why_not
    return (found, None) if finite(found[0]) else (None, NOT_FINITE)


def of_cg_sense(item: Slice, device: torch.device) -> tuple[Tensor, str, str]:
    """Return ``image_yx`` of CG-SENSE or of what takes its place, the method, and why it is not CG-SENSE."""
    if item.maps_cyx is None:
        return root_sum_of_squares(item.kspace_cyx[None], [2])[0], RSS, item.no_maps

    def solve(where: torch.device) -> Tensor:
        kspace_bcyx, maps_bscyx, mask_by = _inputs(item, where)
        if maps_bscyx.shape[1] > 1:
            return folded_conventional(kspace_bcyx, maps_bscyx, mask_by)
        return cg_sense(kspace_bcyx, maps_bscyx[:, 0], mask_by)

    image_byx, method, why = conventional(item.kspace_cyx[None], [2], solve, device)
    return image_byx[0], method, why


def mark(image: Reconstruction, method: str, reason: str, further: str = "") -> None:
    """Say on an image that ``method`` stands in its place, why, and why it is not even CG-SENSE."""
    image.fallback, image.method, image.reason = True, method, reason
    image.notes.append(f"FALLBACK to {method}: {reason}")
    if further and further not in reason:
        image.notes.append(f"CG-SENSE failed: {further}")
    if method == RSS:
        image.notes.append(ZERO_FILLED)
        image.has_phase, image.partial_y = False, None


def spread_of(image: Reconstruction, plan: Plan) -> Reconstruction:
    """Make the map of the spread out of an image: a magnitude, with what it is in its notes."""
    image.has_phase, image.partial_y = False, None
    image.notes.append(
        f"standard deviation over {plan.pipeline.samples} smoothing copies in the last step, in units of the image"
    )
    return image


def _inputs(item: Slice, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """K-space (1, c, y, x), one or two sets of maps (1, s, c, y, x) and the weights of the lines (1, y) on a device."""
    assert item.maps_cyx is not None
    sets = [item.maps_cyx] if item.second_maps_cyx is None else [item.maps_cyx, item.second_maps_cyx]
    mask_y = item.mask_y if item.weight_y is None else item.weight_y
    return item.kspace_cyx[None].to(device), torch.stack(sets)[None].to(device), mask_y[None].to(device)


def _of(item: Slice, role: str, image_yx: Tensor, network: Guarded) -> Reconstruction:
    return Reconstruction(
        key=item.key,
        head=item.head,
        role=role,
        image_yx=image_yx.to(torch.complex64),
        coils=item.kspace_cyx.shape[0],
        lines=item.lines,
        sampled_lines=int(item.mask_y.sum()),
        whitened=item.whitened,
        notes=list(item.notes),
        partial_y=item.partial_y,
        partition=item.partition,
        partitions=item.partitions,
        of_lines=int(item.mask_y.numel()),
        device=str(network.device),
    )
