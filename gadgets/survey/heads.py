"""The survey: what the acquisition headers of a raw scan say, checked as the chain checks each readout.

It works on the table of headers alone (no samples), so that a scan of any size can be judged before it runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import ismrmrd
import numpy as np
import torch

from smug_recon.calibration import calibration_lines
from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import CALIBRATION, CALIBRATION_AND_IMAGING, NOISE, SliceKey
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.maps.block_maps import FEWEST_LINES
from smug_recon.gadgets.maps.calibration_box import calibration_box, sides
from smug_recon.gadgets.readouts.slice_partitions import of_heads
from smug_recon.gadgets.survey.checks import (
    as_image_lines,
    check_any,
    check_noise,
    check_rows,
    check_samples,
    check_shape,
    foreign,
    reference_lines,
    rows,
    separate,
    without_reference,
)


@dataclass(frozen=True)
class Survey:
    """What was found; ``lines`` and ``calibration`` are the fewest and the most over all images."""

    readouts: int
    noise_readouts: int
    passed_on: int
    reference_readouts: int
    coils: int
    samples: int
    slices: int
    images: int
    lines: tuple[int, int]
    calibration: tuple[int, int]
    acceleration: float
    """Lines of the encoded matrix over the most lines sampled in an image."""
    warnings: tuple[str, ...]


def survey(heads: np.ndarray, plan: Plan, header: ismrmrd.xsd.ismrmrdHeader | None = None) -> Survey:
    """Check the headers of all readouts against the plan; DataError, with one clear message.

    Args:
        heads: table with the fields of ``ismrmrd.hdf5.acquisition_header_dtype``.
        plan: of the same scan. header: its MRD header, to tell an external reference scan.
    """
    notes: list[str] = []
    heads, plan = of_heads(heads, plan, header)
    heads, reference = without_reference(heads, plan, header, notes)
    noise = heads[heads["flags"] & np.uint64(NOISE) != 0]
    others = heads[heads["flags"] & np.uint64(NOISE) == 0]
    others = as_image_lines(others, notes)
    passing = foreign(others)
    lines = others[~passing]
    check_any(others, noise, lines)
    apart = separate(lines, plan)
    coils, samples = check_shape(lines if apart.all() else lines[~apart])
    check_noise(noise, coils, plan)
    check_rows(lines, plan)
    check_samples(lines, plan, notes)
    masks = _masks(lines, plan)
    sampled = [int(imaging.sum()) for imaging, _, _ in masks.values()]
    calibration = _calibration(masks, coils, plan, notes, reference_lines(reference, plan, header))
    slices = len({key.slice for key in masks})
    if plan.coils is not None and plan.coils != coils:
        notes.append(f"the header gives {plan.coils} receiver channels, the readouts have {coils}")
    if slices > plan.slices:
        notes.append(f"the header's limits give {plan.slices} slices, the readouts {slices}")
    acceleration = plan.lines_y * plan.lines_z / max(sampled)
    if acceleration > 1.1 * plan.acceleration_y:
        notes.append(
            f"the header gives acceleration {plan.acceleration_y:g}, the readouts {acceleration:.2f}"
        )
    return Survey(
        readouts=len(heads) + len(reference),
        noise_readouts=len(noise),
        passed_on=int(passing.sum()),
        coils=coils,
        samples=samples,
        slices=slices,
        images=len(masks),
        lines=(min(sampled), max(sampled)),
        calibration=calibration,
        reference_readouts=len(reference),
        acceleration=acceleration,
        warnings=tuple(notes),
    )


Masks = dict[SliceKey, tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Imaging lines, flagged lines and separate calibration lines of every image, by row."""


def _masks(lines: np.ndarray, plan: Plan) -> Masks:
    places = rows(lines, plan)
    flagged = lines["flags"] & np.uint64(CALIBRATION | CALIBRATION_AND_IMAGING) != 0
    apart = separate(lines, plan)
    counters = np.stack([lines["idx"][name] for name in SliceKey._fields], 1)
    keys, members = np.unique(counters, axis=0, return_inverse=True)
    grid = np.zeros((3, len(keys), plan.lines_y * plan.lines_z), bool)
    members = members.reshape(-1)
    grid[0, members[~apart], places[~apart]] = True
    grid[1, members[flagged & ~apart], places[flagged & ~apart]] = True
    grid[2, members[apart], places[apart]] = True
    found = {SliceKey(*key): (grid[0, at], grid[1, at], grid[2, at]) for at, key in enumerate(keys.tolist())}
    images = {key: parts for key, parts in found.items() if parts[0].any()}
    if not images:
        raise DataError(
            f"{len(lines)} calibration lines and no imaging line",
            "imaging lines",
            "correct the flags or the calibration mode in the converter",
        )
    for key, parts in found.items():  # separate lines may be acquired under another counter of their slice
        if key not in images and parts[2].any():
            for image, own in images.items():
                if image.slice == key.slice and not own[2].any():
                    images[image] = (own[0], own[1], parts[2])
    return images


def _calibration(
    masks: Masks, coils: int, plan: Plan, notes: list[str], reference: int = 0
) -> tuple[int, int]:
    """Fewest and most calibration lines; DataError where a slice has none, a note where they are too few for
    ESPIRiT.
    """
    needed = 2
    advised = plan.pipeline.coil_maps.kernel + 2
    found = {key: max(_usable(*parts, plan), reference) for key, parts in masks.items()}
    best: dict[int, int] = {}
    for key, count in found.items():
        best[key.slice] = max(best.get(key.slice, 0), count)
    missing = sorted(index for index, count in best.items() if count < needed)
    if missing and coils > 1:
        raise DataError(
            f"{best[missing[0]]} calibration lines about the k-space centre in slice {missing[0]}"
            + (f" and in {len(missing) - 1} more slices" if missing[1:] else ""),
            f"at least {advised} contiguous lines (16 to 32 are usual)",
            "acquire calibration lines (integrated or separate reference lines) with this scan",
        )
    few = sorted(index for index, count in best.items() if count < FEWEST_LINES and coils > 1)
    if few:
        notes.append(
            f"{best[few[0]]} calibration lines in slice {few[0]}: a fallback image, coil maps from low-resolution images"
        )
    counts = [count for count in found.values() if count >= needed or coils == 1]
    if len(counts) < len(found):
        notes.append(
            f"{len(found) - len(counts)} images use the coil maps of another repetition of their slice"
        )
    return min(counts), max(counts)


def _usable(imaging: np.ndarray, flagged: np.ndarray, separate: np.ndarray, plan: Plan) -> int:
    mask, flags = (separate, None) if separate.any() else (imaging, flagged if flagged.any() else None)
    if plan.lines_z > 1:
        mask_zy = torch.from_numpy(mask).reshape(plan.lines_z, plan.lines_y)
        box = calibration_box(mask_zy, plan.pipeline.coil_maps.calibration_width, smallest=1)
        return 0 if box is None else min(sides(box))
    centre = plan.lines_y // 2
    try:
        start, stop = calibration_lines(
            torch.from_numpy(mask), None if flags is None else torch.from_numpy(flags), centre, minimum=1
        )
    except DataError:
        return 0
    return 2 * min(centre - start, stop - centre)
