"""The checks of the survey: what the table of acquisition headers may not say, as the chain checks each readout.

Every function raises DataError, with one clear message, or returns what it found.
"""

from __future__ import annotations

import ismrmrd
import numpy as np

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import CALIBRATION, CALIBRATION_AND_IMAGING, NOT_IMAGING, REVERSE
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.maps.reference_lines import block
from smug_recon.gadgets.maps.reference_scan import is_reference, spaces_of
from smug_recon.gadgets.maps.reference_slab import box_of
from smug_recon.gadgets.readouts.noise_scan import common_dwell_us
from smug_recon.gadgets.readouts.oversampling import hybrid_line
from smug_recon.gadgets.readouts.surface_coil import SAID, heads_unflagged_if_all
from smug_recon.gadgets.readouts.volume import Grid


def foreign(heads: np.ndarray) -> np.ndarray:
    """Which readouts carry no image line."""
    return (heads["flags"] & np.uint64(sum(NOT_IMAGING)) != 0) | (heads["encoding_space_ref"] != 0)


def as_image_lines(others: np.ndarray, notes: list[str]) -> np.ndarray:
    """Headers as ``surface_coil.py`` lets the readouts pass: a flag that every line carries tells nothing."""
    passing = foreign(others)
    unflagged = heads_unflagged_if_all(others, passing)
    if len(others) == 0 or not passing.all() or foreign(unflagged).all():
        return others
    notes.append(SAID)
    return unflagged


def check_any(others: np.ndarray, noise: np.ndarray, lines: np.ndarray) -> None:
    """Refuse a scan without a single imaging line."""
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


def check_shape(lines: np.ndarray) -> tuple[int, int]:
    """Return coils and samples of the readouts, which may not vary."""
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


def check_noise(noise: np.ndarray, coils: int, plan: Plan) -> None:
    """Refuse a noise scan of other coils, if it is to be used."""
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


def check_rows(lines: np.ndarray, plan: Plan) -> None:
    """Refuse lines and partitions outside the encoded matrix."""
    partitions = lines["idx"]["kspace_encode_step_2"]
    if partitions.any() and plan.lines_z == 1:
        raise DataError(
            f"partitions up to {int(partitions.max())}",
            "partition 0: the header describes a 2-D scan",
            "correct encodedSpace.matrixSize.z in the header",
        )
    found = rows(lines, plan)
    if plan.lines_z > 1:  # checked there
        return
    if found.min() < 0 or found.max() >= plan.lines_y:
        steps = lines["idx"]["kspace_encode_step_1"]
        low = plan.centre_y - plan.lines_y // 2
        raise DataError(
            f"phase-encode lines {int(steps.min())} to {int(steps.max())}",
            f"lines {low} to {low + plan.lines_y - 1} (centre line {plan.centre_y})",
            "correct encodedSpace.matrixSize.y or the centre of kspace_encoding_step_1 in the header",
        )


def rows(lines: np.ndarray, plan: Plan) -> np.ndarray:
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


def check_samples(lines: np.ndarray, plan: Plan, notes: list[str]) -> None:
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


def without_reference(
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


def reference_lines(reference: np.ndarray, plan: Plan, header: ismrmrd.xsd.ismrmrdHeader | None) -> int:
    """Lines of the external reference scan about the k-space centre, in the slice that has the fewest; the shorter side
    of their box in 3-D.
    """
    if header is None or len(reference) == 0:
        return 0
    spaces, counts = spaces_of(header, plan, Report()), []
    for number in np.unique(reference["idx"]["slice"]):
        lines = reference[reference["idx"]["slice"] == number]
        space = spaces[int(lines["encoding_space_ref"][0])]
        names = ("kspace_encode_step_2", "kspace_encode_step_1")
        steps = np.unique(np.stack([lines["idx"][name].astype(np.int64) for name in names], 1), axis=0)
        centre = np.array([space.centre_z, space.centre_y])
        if (centre < steps.min(0)).any() or (centre > steps.max(0)).any():
            centre = steps[len(steps) // 2]
        steps = steps - centre
        if space.lines_z > 1:
            box = box_of([(int(z), int(y)) for z, y in steps])
            counts.append(0 if box is None else min(stop - start for start, stop in box))
            continue
        first, last = block(steps[:, 1].tolist(), Report())
        counts.append(last - first + 1)
    return min(counts)


def separate(lines: np.ndarray, plan: Plan) -> np.ndarray:
    """Which lines serve the coil maps alone."""
    both = lines["flags"] & np.uint64(CALIBRATION_AND_IMAGING) != 0
    return (lines["flags"] & np.uint64(CALIBRATION) != 0) & ~both & (plan.calibration != "embedded")
