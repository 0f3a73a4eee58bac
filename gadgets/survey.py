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
from smug_recon.gadgets.calibration_box import calibration_box, sides
from smug_recon.gadgets.coils import FEWEST_LINES
from smug_recon.gadgets.items import (
    CALIBRATION,
    CALIBRATION_AND_IMAGING,
    NOISE,
    NOT_IMAGING,
    REVERSE,
    SliceKey,
)
from smug_recon.gadgets.oversampling import hybrid_line
from smug_recon.gadgets.plan import Plan
from smug_recon.gadgets.prewhiten import common_dwell_us
from smug_recon.gadgets.reference_scan import block, is_reference, spaces_of
from smug_recon.gadgets.surface_coil import SAID, heads_unflagged_if_all
from smug_recon.gadgets.timing import Report
from smug_recon.gadgets.volume import Grid


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
    heads, reference = _without_reference(heads, plan, header, notes)
    noise = heads[heads["flags"] & np.uint64(NOISE) != 0]
    others = heads[heads["flags"] & np.uint64(NOISE) == 0]
    foreign = _foreign(others)
    if len(others) and foreign.all() and not _foreign(heads_unflagged_if_all(others, foreign)).all():
        others = heads_unflagged_if_all(others, foreign)
        foreign = _foreign(others)
        notes.append(SAID)
    lines = others[~foreign]
    _check_any(others, noise, lines)
    coils, samples = _check_shape(lines[~_separate(lines, plan)])
    _check_noise(noise, coils, plan)
    _check_rows(lines, plan)
    _check_samples(lines, plan, notes)
    masks = _masks(lines, plan)
    sampled = [int(imaging.sum()) for imaging, _, _ in masks.values()]
    calibration = _calibration(masks, coils, plan, notes, _reference_lines(reference, plan, header))
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
        passed_on=int(foreign.sum()),
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


def _foreign(heads: np.ndarray) -> np.ndarray:
    """Which readouts carry no image line."""
    return (heads["flags"] & np.uint64(sum(NOT_IMAGING)) != 0) | (heads["encoding_space_ref"] != 0)


def _check_any(others: np.ndarray, noise: np.ndarray, lines: np.ndarray) -> None:
    if len(others) + len(noise) == 0:
        raise DataError(
            "no acquisitions in the raw scan", "at least one slice of readouts", "convert the scan again"
        )
    if len(lines) == 0:
        kinds = [name for bit, name in NOT_IMAGING.items() if (others["flags"] & np.uint64(bit)).any()]
        kinds += ["of another encoding space"] if (others["encoding_space_ref"] != 0).any() else []
        raise DataError(
            f"{len(others) + len(noise)} acquisitions, {len(noise)} of noise and no imaging line of encoding space 0"
            + (f" ({', '.join(kinds)})" if kinds else ""),
            "imaging lines",
            "give the imaging scan: this looks like a noise or adjustment measurement",
        )


def _check_shape(lines: np.ndarray) -> tuple[int, int]:
    shapes = np.unique(np.stack([lines["active_channels"], lines["number_of_samples"]], 1), axis=0)
    if len(shapes) > 1:
        found = ", ".join(f"{coils} coils x {samples} samples" for coils, samples in shapes[:4].tolist())
        raise DataError(
            f"readouts of {found}",
            "the same number of coils and samples in all imaging and calibration lines",
            "split the raw file into scans of one receive configuration",
        )
    coils, samples = (int(value) for value in shapes[0])
    if coils < 1 or samples < 1:
        raise DataError(
            f"readouts of {coils} coils x {samples} samples", "at least one of each", "convert it again"
        )
    return coils, samples


def _check_noise(noise: np.ndarray, coils: int, plan: Plan) -> None:
    if not plan.pipeline.prewhitening or len(noise) == 0:
        return
    found = sorted({int(value) for value in noise["active_channels"]})
    if found != [coils]:
        raise DataError(
            f"noise readouts of {' and '.join(map(str, found))} coils beside imaging lines of {coils}",
            "the same coils in both",
            "use the noise scan of this measurement, or set prewhitening: false in the pipeline",
        )
    common_dwell_us(zip(noise["active_channels"].tolist(), noise["sample_time_us"].tolist(), strict=True))


def _check_rows(lines: np.ndarray, plan: Plan) -> None:
    partitions = lines["idx"]["kspace_encode_step_2"]
    if partitions.any() and plan.lines_z == 1:
        raise DataError(
            f"partitions up to {int(partitions.max())}",
            "partition 0: the header describes a 2-D scan",
            "correct encodedSpace.matrixSize.z in the header",
        )
    rows = _rows(lines, plan)
    if plan.lines_z > 1:  # checked there
        return
    if rows.min() < 0 or rows.max() >= plan.lines_y:
        steps = lines["idx"]["kspace_encode_step_1"]
        low = plan.centre_y - plan.lines_y // 2
        raise DataError(
            f"phase-encode lines {int(steps.min())} to {int(steps.max())}",
            f"lines {low} to {low + plan.lines_y - 1} (centre line {plan.centre_y})",
            "correct encodedSpace.matrixSize.y or the centre of kspace_encoding_step_1 in the header",
        )


def _rows(lines: np.ndarray, plan: Plan) -> np.ndarray:
    """Row of every line in its slice, or in its slab as ``volume.py`` counts them."""
    if plan.lines_z > 1:
        z = lines["idx"]["kspace_encode_step_2"].astype(np.int64) - plan.slab.centre + plan.lines_z // 2
        y = lines["idx"]["kspace_encode_step_1"].astype(np.int64) - plan.centre_y + plan.lines_y // 2
        grid = Grid(plan.lines_z, plan.lines_y)
        for ends in ((z.min(), y.min()), (z.max(), y.max())):
            grid.row(int(ends[0]), int(ends[1]))
        by_z, by_y = grid.shift
        return (z + by_z) * plan.lines_y + y + by_y
    return lines["idx"]["kspace_encode_step_1"].astype(np.int64) - plan.centre_y + plan.lines_y // 2


def _check_samples(lines: np.ndarray, plan: Plan, notes: list[str]) -> None:
    """Lay one empty readout of every kind on the readout grid, by the code of the chain itself."""
    report = Report()
    names = ["number_of_samples", "center_sample", "discard_pre", "discard_post"]
    kinds = np.unique(
        np.stack([lines[name] for name in names] + [lines["flags"] & np.uint64(REVERSE) != 0], 1), axis=0
    )
    for samples, centre, before, after, reverse in kinds.tolist():
        readout = ismrmrd.Acquisition.from_array(np.zeros((1, int(samples)), np.complex64))
        readout.center_sample, readout.discard_pre, readout.discard_post = (
            int(centre),
            int(before),
            int(after),
        )
        if reverse:
            readout.setFlag(ismrmrd.ACQ_IS_REVERSE)
        hybrid_line(readout, plan.encoded_xyz[0], plan.readout_x, report)
        valid, grid = int(samples - before - after), plan.encoded_xyz[0]
        if 2 * valid < grid and not (samples == plan.readout_x and centre == samples // 2):
            report.warn(f"{valid} samples a readout fill less than half of the encoded {grid}: zero-filled")
    notes += report.warnings


def _without_reference(
    heads: np.ndarray, plan: Plan, header: ismrmrd.xsd.ismrmrdHeader | None, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Part the readouts of an external reference scan, as ``reference_scan.py`` finds them, from all others."""
    if header is None:
        return heads, heads[:0]
    report = Report()
    spaces = spaces_of(header, plan, report)
    notes += report.warnings
    kinds = zip(heads["flags"].tolist(), heads["encoding_space_ref"].tolist(), strict=True)
    apart = np.array([is_reference(flags, space, plan, spaces) for flags, space in kinds], bool)
    return heads[~apart], heads[apart]


def _reference_lines(reference: np.ndarray, plan: Plan, header: ismrmrd.xsd.ismrmrdHeader | None) -> int:
    """Lines of the external reference scan about the k-space centre, in the slice that has the fewest."""
    if header is None or len(reference) == 0:
        return 0
    spaces, counts = spaces_of(header, plan, Report()), []
    for number in np.unique(reference["idx"]["slice"]):
        lines = reference[reference["idx"]["slice"] == number]
        steps = np.unique(lines["idx"]["kspace_encode_step_1"]).tolist()
        centre = spaces[int(lines["encoding_space_ref"][0])].centre_y
        if not steps[0] <= centre <= steps[-1]:
            centre = steps[len(steps) // 2]
        first, last = block([step - centre for step in steps], Report())
        counts.append(last - first + 1)
    return min(counts)


Masks = dict[SliceKey, tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Imaging lines, flagged lines and separate calibration lines of every image, by row."""


def _separate(lines: np.ndarray, plan: Plan) -> np.ndarray:
    """Which lines serve the coil maps alone."""
    both = lines["flags"] & np.uint64(CALIBRATION_AND_IMAGING) != 0
    return (lines["flags"] & np.uint64(CALIBRATION) != 0) & ~both & (plan.calibration != "embedded")


def _masks(lines: np.ndarray, plan: Plan) -> Masks:
    flags, rows = lines["flags"], _rows(lines, plan)
    flagged = flags & np.uint64(CALIBRATION | CALIBRATION_AND_IMAGING) != 0
    separate = _separate(lines, plan)
    counters = np.stack([lines["idx"][name] for name in SliceKey._fields], 1)
    keys, members = np.unique(counters, axis=0, return_inverse=True)
    grid = np.zeros((3, len(keys), plan.lines_y * plan.lines_z), bool)
    members = members.reshape(-1)
    grid[0, members[~separate], rows[~separate]] = True
    grid[1, members[flagged & ~separate], rows[flagged & ~separate]] = True
    grid[2, members[separate], rows[separate]] = True
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
        box = calibration_box(mask_zy, plan.pipeline.coil_maps.calibration_width)
        return 2 if box is None else min(sides(box))
    centre = plan.lines_y // 2
    try:
        start, stop = calibration_lines(
            torch.from_numpy(mask), None if flags is None else torch.from_numpy(flags), centre, minimum=1
        )
    except DataError:
        return 0
    return 2 * min(centre - start, stop - centre)
