"""The network: one slice in hybrid space in, one SMUG image out; CG-SENSE beside it on request, or in its
place on failure."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from smug_recon.gadgets.folding import folded_conventional, folded_network
from smug_recon.gadgets.items import Reconstruction, Slice
from smug_recon.gadgets.model import Model
from smug_recon.gadgets.plan import Plan
from smug_recon.gadgets.timing import Report
from smug_recon.physics import cg_sense

log = logging.getLogger(__name__)

SMUG = "SMUG"
CG_SENSE = "CG-SENSE"


def unroll(items: Iterable[Any], plan: Plan, model: Model, report: Report) -> Iterator[Any]:
    """Reconstruct every slice with coil maps; the same seed for each, so that the pixels depend on the slice
    alone.

    An image with samples that are not finite is replaced by CG-SENSE, marked on the image and counted as a
    fallback.
    """
    for item in items:
        if not isinstance(item, Slice):
            yield item
            continue
        yield from reconstructions(item, plan, model, report)


def reconstructions(item: Slice, plan: Plan, model: Model, report: Report) -> Iterator[Reconstruction]:
    """Yield the SMUG image of a slice, then the conventional one if the pipeline asks for it."""
    assert item.maps_cyx is not None
    kspace_bcyx = item.kspace_cyx[None].to(model.device)
    maps_bcyx = item.maps_cyx[None].to(model.device)
    mask_by = (item.mask_y if item.weight_y is None else item.weight_y)[None].to(model.device)
    conventional: Tensor | None = None
    sets_bscyx: Tensor | None = None
    if item.second_maps_cyx is not None:
        sets_bscyx = torch.stack([item.maps_cyx, item.second_maps_cyx])[None].to(model.device)

    def cg() -> Tensor:
        if sets_bscyx is not None:
            return folded_conventional(kspace_bcyx, sets_bscyx, mask_by)
        return cg_sense(kspace_bcyx, maps_bcyx, mask_by)

    with torch.inference_mode():
        if bool(kspace_bcyx.any()) and bool(maps_bcyx.any()):
            seed, samples = plan.pipeline.seed, plan.pipeline.samples
            if sets_bscyx is not None:
                image_byx = folded_network(kspace_bcyx, sets_bscyx, mask_by, model, seed, samples)
            else:
                image_byx, _ = model.forward(kspace_bcyx, maps_bcyx, mask_by, seed, samples)
        else:  # a network may see something in nothing
            image_byx = torch.zeros_like(kspace_bcyx[:, 0])
            item.notes.append("no signal")
        smug = _of(item, SMUG, image_byx)
        if not finite(smug.image_yx):
            conventional = cg()
            smug = _of(item, SMUG, torch.nan_to_num(conventional, 0.0, 0.0, 0.0))
            smug.fallback = True
            smug.notes.append("FALLBACK to CG-SENSE: the network gave values that are not finite")
            report.fallbacks += 1
            report.warn(
                "the network gave values that are not finite: CG-SENSE in its place, marked on the image"
            )
        yield smug
        if plan.pipeline.images.conventional:
            if conventional is None:
                conventional = cg()
            yield _of(item, CG_SENSE, torch.nan_to_num(conventional, 0.0, 0.0, 0.0))


def finite(image: Tensor) -> bool:
    """Whether all real and imaginary parts are finite."""
    return bool(torch.isfinite(torch.view_as_real(image.resolve_conj())).all())


def _of(item: Slice, role: str, image_byx: Tensor) -> Reconstruction:
    return Reconstruction(
        key=item.key,
        head=item.head,
        role=role,
        image_yx=image_byx[0].to("cpu", torch.complex64),
        coils=item.kspace_cyx.shape[0],
        lines=item.lines,
        sampled_lines=int(item.mask_y.sum()),
        whitened=item.whitened,
        notes=list(item.notes),
        partial_y=item.partial_y,
        partition=item.partition,
        partitions=item.partitions,
        of_lines=int(item.mask_y.numel()),
    )
