"""What the MRD header says about the encoding, element by element, each checked with one clear message."""

from __future__ import annotations

import math
from typing import Any

from smug_recon.errors import HeaderError

LARGEST_MATRIX = 4096
"""Largest matrix size of this chain, in samples of any axis (recon) and in lines (encoded)."""
LARGEST_READOUT = 16384
LARGEST_COUNTER = 65535
"""Counters of an acquisition are uint16."""
MOST_COILS = 1024

CALIBRATION_MODES = ("embedded", "separate", "external", "interleaved", "other", "none")


def first_encoding(header: Any, notes: list[str]) -> Any:
    """Encoding 0, the one that is reconstructed; a note if there are others."""
    encodings = list(getattr(header, "encoding", None) or [])
    if not encodings:
        raise HeaderError(
            "no encoding element in the MRD header",
            "one encoding with encoded space, recon space and trajectory",
            "convert the raw file again, with the parameter map of its sequence",
        )
    if len(encodings) > 1:
        notes.append(
            f"{len(encodings)} encodings: only encoding 0 is reconstructed, the others are passed on"
        )
    return encodings[0]


def check_trajectory(encoding: Any) -> None:
    trajectory = getattr(encoding.trajectory, "value", encoding.trajectory)
    if trajectory != "cartesian":
        remedy = "reconstruct it with another chain: this one is for Cartesian scans"
        if trajectory == "epi":
            remedy = (
                "put ramp-sampling regridding and ghost correction before this node and declare it cartesian"
            )
        raise HeaderError(f"the trajectory {trajectory!r}", "'cartesian'", remedy)


def space(space: Any, name: str) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    matrix, fov = getattr(space, "matrixSize", None), getattr(space, "fieldOfView_mm", None)
    sizes, lengths = [], []
    for axis in "xyz":
        size, length = number(getattr(matrix, axis, None)), number(getattr(fov, axis, None))
        if size is None or size < 1 or size != int(size):
            raise HeaderError(
                f"{name} matrixSize {axis} = {getattr(matrix, axis, None)!r}",
                "a whole number of at least 1",
                "correct the MRD header, or the parameter map of the converter",
            )
        if length is None or length <= 0:
            raise HeaderError(
                f"{name} fieldOfView_mm {axis} = {getattr(fov, axis, None)!r}",
                "a length in mm above 0",
                "correct the MRD header, or the parameter map of the converter",
            )
        sizes.append(int(size))
        lengths.append(length)
    return (sizes[0], sizes[1], sizes[2]), (lengths[0], lengths[1], lengths[2])


def two_dimensional(
    encoded_xyz: tuple[int, int, int], recon_xyz: tuple[int, int, int], limits: Any, notes: list[str]
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    partitions = getattr(limits, "kspace_encoding_step_2", None)
    last = None if partitions is None else int(number(partitions.maximum) or 0)
    if encoded_xyz[2] > 1 and last == 0 and count(limits, "slice") > 1:
        notes.append(f"encoded matrix z {encoded_xyz[2]} but one partition and several slices: taken as 2-D")
        return (*encoded_xyz[:2], 1), (*recon_xyz[:2], 1)
    if encoded_xyz[2] > 1 or (last or 0) > 0:
        raise HeaderError(
            f"3-D encoding (matrix z {encoded_xyz[2]}, last partition {'unknown' if last is None else last})",
            "a 2-D scan of one or more slices",
            "not supported yet: transform along the partitions before this node, or use another chain",
        )
    return encoded_xyz, recon_xyz


def check_sizes(encoded_xyz: tuple[int, int, int], recon_xyz: tuple[int, int, int]) -> None:
    for what, size, largest in (
        ("encodedSpace matrixSize x", encoded_xyz[0], LARGEST_READOUT),
        ("encodedSpace matrixSize y", encoded_xyz[1], LARGEST_MATRIX),
        ("reconSpace matrixSize x", recon_xyz[0], LARGEST_MATRIX),
        ("reconSpace matrixSize y", recon_xyz[1], LARGEST_MATRIX),
    ):
        if size > largest:
            raise HeaderError(f"{what} = {size}", f"at most {largest}", "correct the MRD header")
    if encoded_xyz[0] < 8 or encoded_xyz[1] < 8:
        raise HeaderError(
            f"an encoded matrix of {encoded_xyz[0]} x {encoded_xyz[1]}",
            "at least 8 x 8",
            "correct the MRD header",
        )


def readout_samples(encoded_x: int, encoded_fov_x: float, recon_fov_x: float, notes: list[str]) -> int:
    kept = round(encoded_x * recon_fov_x / encoded_fov_x)
    if kept > encoded_x:
        notes.append(
            f"recon field of view x {recon_fov_x:g} mm exceeds the encoded {encoded_fov_x:g} mm: no crop"
        )
        return encoded_x
    if kept < 8:
        raise HeaderError(
            f"a recon field of view of {recon_fov_x:g} mm in an encoded one of {encoded_fov_x:g} mm along x",
            "at least 8 of the encoded samples inside",
            "correct the fields of view in the MRD header",
        )
    return kept


def centre_line(limits: Any, lines_y: int, notes: list[str]) -> int:
    step = getattr(limits, "kspace_encoding_step_1", None)
    if step is None:
        return lines_y // 2
    low, high, centre = (int(number(value) or 0) for value in (step.minimum, step.maximum, step.center))
    if not 0 <= low <= high <= LARGEST_COUNTER or not 0 <= centre <= LARGEST_COUNTER:
        raise HeaderError(
            f"kspace_encoding_step_1 limits {low} to {high}, centre {centre}",
            f"0 <= minimum <= maximum <= {LARGEST_COUNTER} and a centre in this range",
            "correct the MRD header",
        )
    if high - low + 1 > lines_y:
        notes.append(f"the limits give {high - low + 1} lines, the encoded matrix holds {lines_y}")
    inside = low - centre + lines_y // 2 >= 0 and high - centre + lines_y // 2 < lines_y
    if centre == 0 and high > 0 and not inside:
        notes.append(f"the centre of kspace_encoding_step_1 is given as 0: line {lines_y // 2} is taken")
        return lines_y // 2
    if not inside:
        notes.append(
            f"lines {low} to {high} around the centre {centre} reach over the encoded matrix of {lines_y}"
        )
    return centre


def acceleration(parallel: Any, notes: list[str]) -> tuple[float, str]:
    if parallel is None:
        return 1.0, "none"
    bands = getattr(parallel, "multiband", None)
    if bands is not None and (number(getattr(bands, "multiband_factor", 1)) or 1) > 1:
        raise HeaderError(
            f"a multiband factor of {bands.multiband_factor}",
            "slices excited one by one",
            "separate the simultaneous slices before this node",
        )
    given = getattr(parallel.accelerationFactor, "kspace_encoding_step_1", None)
    factor = number(given)
    if factor is None or not 1 <= factor <= 64:
        raise HeaderError(
            f"an acceleration factor of {given!r} along kspace_encoding_step_1",
            "1 to 64",
            "correct the MRD header",
        )
    mode = getattr(parallel.calibrationMode, "value", parallel.calibrationMode)
    calibration = mode if mode in CALIBRATION_MODES else "none"
    if factor > 1 and calibration == "none":
        notes.append(
            f"acceleration {factor:g} without a calibration mode: calibration lines are sought in the data"
        )
    if calibration == "external":
        notes.append(
            "external calibration is declared: calibration lines are looked for in this scan's own data"
        )
    return factor, calibration


def count(limits: Any, name: str) -> int:
    limit = getattr(limits, name, None)
    if limit is None:
        return 1
    low, high = number(limit.minimum), number(limit.maximum)
    if low is None or high is None or not 0 <= low <= high <= LARGEST_COUNTER:
        raise HeaderError(
            f"{name} limits {limit.minimum!r} to {limit.maximum!r}",
            f"0 <= minimum <= maximum <= {LARGEST_COUNTER}",
            "correct the encoding limits in the MRD header",
        )
    return int(high) + 1


def coil_count(header: Any) -> int | None:
    given = getattr(header.acquisitionSystemInformation, "receiverChannels", None)
    if given is None:
        return None
    coils = number(given)
    if coils is None or not 1 <= coils <= MOST_COILS:
        raise HeaderError(f"receiverChannels = {given!r}", f"1 to {MOST_COILS}", "correct the MRD header")
    return int(coils)


def noise_bandwidth(header: Any, notes: list[str]) -> float:
    given = getattr(header.acquisitionSystemInformation, "relativeReceiverNoiseBandwidth", None)
    if given is None:
        return 1.0
    value = number(given)
    if value is None or not 0 < value <= 10:
        notes.append(f"relativeReceiverNoiseBandwidth {given!r} makes no sense: 1.0 is taken")
        return 1.0
    return value


def number(value: Any) -> float | None:
    """The value if it is a finite number (not text, which a lenient parser may leave behind)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
