"""Each image is held against what its model was trained on; where it leaves that range, log and image say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

from smug_recon.calibration import calibration_lines
from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import Slice, Volume
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.model.card import Card


def compare_with_training(items: Iterable[Any], plan: Plan, card: Card, report: Report) -> Iterator[Any]:
    """Add a note to every slice that leaves the trained range in matrix, coils, acceleration or calibration lines.

    What counts is what was acquired, not what the header announces. With ``strict`` such a slice is barred from the
    network and reconstructed conventionally.
    """
    for item in items:
        if isinstance(item, Slice) and not isinstance(item, Volume):
            found = outside(item, card)
            for text in found:
                item.notes.append(text)
                report.warn(text)
            if found and plan.pipeline.strict:
                item.barred = f"strict: {found[0]}"
        yield item


def outside(item: Slice, card: Card) -> list[str]:
    """One sentence for everything in which a slice leaves the trained range of the model."""
    coils, lines_y, readout_x = item.kspace_cyx.shape
    acceleration = round(lines_y / max(1, int(item.mask_y.sum())), 2)
    found = card.outside_range(lines_y, readout_x, coils, acceleration)
    mask_y = item.mask_y if item.calibration_mask_y is None else item.calibration_mask_y
    return found + (card.few_calibration_lines(about_centre(mask_y)) if coils > 1 else [])


def outside_slab(volume: Volume, lines_y: int, calibration: int, card: Card) -> list[str]:
    """The same for a slab sampled in (ky, kz): rows are phase encodes, columns partitions."""
    acceleration = round(volume.mask_y.numel() / max(1, int(volume.mask_y.sum())), 2)
    coils = volume.kspace_cyx.shape[0]
    found = card.outside_range(lines_y, volume.lines_z, coils, acceleration)
    found = [text.replace("readout matrix", "partitions") for text in found]
    few = card.few_calibration_lines(calibration) if coils > 1 else []
    return [*found, *few]


def about_centre(mask_y: Tensor) -> int:
    """Number of contiguous sampled lines about the k-space centre."""
    try:
        start, stop = calibration_lines(mask_y, minimum=1)
    except DataError:
        return 0
    return stop - start
