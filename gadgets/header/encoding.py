"""What the MRD header says about the encoding, element by element, each checked with one clear message.

Every function takes the element as ``ismrmrd.xsd`` parsed it, raises HeaderError where the scan cannot be
reconstructed, and adds a sentence to ``notes`` where it can, but not as the header has it.
"""

from __future__ import annotations

import math
from typing import Any

from smug_recon.errors import HeaderError

SMALLEST_MATRIX = 8
LARGEST_MATRIX = 4096
LARGEST_READOUT = 16384
"""Sizes in samples; a readout may be oversampled."""
LARGEST_COUNTER = 65535
"""Counters of an acquisition are uint16."""
MOST_COILS = 1024
MOST_ACCELERATION = 64

CALIBRATION_MODES = ("embedded", "separate", "external", "interleaved", "other")

CORRECT = "correct the MRD header, or the parameter map of the converter"

Sizes = tuple[int, int, int]
Lengths = tuple[float, float, float]


def first_encoding(header: Any, notes: list[str]) -> Any:
    """Encoding 0, the one that is reconstructed."""
    encodings = list(getattr(header, "encoding", None) or [])
    if not encodings:
        raise HeaderError(
            "no encoding element in the MRD header",
            "one encoding with encoded space, recon space and trajectory",
            "convert the raw file again, with the parameter map of its sequence",
        )
    if len(encodings) > 1:
        notes.append(
            f"{len(encodings)} encodings: encoding 0 is reconstructed; calibration lines of the others serve the coil "
            "maps, their other lines are passed on"
        )
    return encodings[0]


def check_trajectory(encoding: Any) -> None:
    """Refuse what does not lie on a Cartesian grid."""
    trajectory = getattr(encoding.trajectory, "value", encoding.trajectory)
    if trajectory == "cartesian":
        return
    remedy = "reconstruct it with another chain: this one is for Cartesian scans"
    if trajectory == "epi":
        remedy = "regrid and correct ghosts before this node and declare the result cartesian"
    raise HeaderError(f"the trajectory {trajectory!r}", "'cartesian'", remedy)


def matrix_and_fov(space: Any, name: str) -> tuple[Sizes, Lengths]:
    """Matrix size in samples and field of view in mm of ``encodedSpace`` or ``reconSpace``."""
    matrix, fov = getattr(space, "matrixSize", None), getattr(space, "fieldOfView_mm", None)
    sizes, lengths = [], []
    for axis in "xyz":
        given_size, given_length = getattr(matrix, axis, None), getattr(fov, axis, None)
        size, length = number(given_size), number(given_length)
        if size is None or size < 1 or size != int(size):
            raise HeaderError(
                f"{name} matrixSize {axis} = {given_size!r}", "a whole number of at least 1", CORRECT
            )
        if length is None or length <= 0:
            raise HeaderError(
                f"{name} fieldOfView_mm {axis} = {given_length!r}", "a length in mm above 0", CORRECT
            )
        largest = LARGEST_READOUT if axis == "x" and name == "encodedSpace" else LARGEST_MATRIX
        smallest = 1 if axis == "z" else SMALLEST_MATRIX
        if not smallest <= size <= largest:
            raise HeaderError(
                f"{name} matrixSize {axis} = {int(size)}", f"{smallest} to {largest} samples", CORRECT
            )
        sizes.append(int(size))
        lengths.append(length)
    return (sizes[0], sizes[1], sizes[2]), (lengths[0], lengths[1], lengths[2])


def readout_samples(encoded_x: int, encoded_fov_x: float, recon_fov_x: float, notes: list[str]) -> int:
    """Samples left without readout oversampling: round(encoded_x * recon_fov_x / encoded_fov_x)."""
    kept = round(encoded_x * recon_fov_x / encoded_fov_x)
    if kept > encoded_x:
        notes.append(
            f"recon field of view x {recon_fov_x:g} mm exceeds the encoded {encoded_fov_x:g} mm: no crop"
        )
        return encoded_x
    if kept < SMALLEST_MATRIX:
        raise HeaderError(
            f"a recon field of view of {recon_fov_x:g} mm in an encoded one of {encoded_fov_x:g} mm along x",
            f"at least {SMALLEST_MATRIX} of the {encoded_x} encoded samples inside",
            CORRECT,
        )
    return kept


def step_limits(limits: Any, direction: int) -> tuple[int, int, int] | None:
    """Minimum, maximum and centre of ``kspace_encoding_step_1`` or ``_2``; None where they are not given."""
    name = f"kspace_encoding_step_{direction}"
    step = getattr(limits, name, None)
    if step is None:
        return None
    low, high, centre = (int(number(value) or 0) for value in (step.minimum, step.maximum, step.center))
    if not 0 <= low <= high <= LARGEST_COUNTER or not 0 <= centre <= LARGEST_COUNTER:
        raise HeaderError(
            f"{name} limits {low} to {high}, centre {centre}",
            f"0 <= minimum <= maximum <= {LARGEST_COUNTER}, and a centre of this kind",
            CORRECT,
        )
    return low, high, centre


def image_rows(lines_y: int, encoded_fov_y: float, recon_fov_y: float) -> int:
    """Rows of the recon field of view at the encoded resolution: round(lines_y * recon_fov_y / encoded_fov_y)."""
    rows = lines_y * recon_fov_y / encoded_fov_y
    if not rows <= LARGEST_MATRIX:
        raise HeaderError(
            f"a recon field of view of {recon_fov_y:g} mm over an encoded one of {encoded_fov_y:g} mm along y",
            f"at most {LARGEST_MATRIX} rows of the encoded resolution inside",
            CORRECT,
        )
    return max(1, round(rows))


def centre_line(limits: Any, lines_y: int, notes: list[str]) -> int:
    """The line of the k-space centre: as given, else the middle of the encoded matrix."""
    given = step_limits(limits, 1)
    if given is None:
        return lines_y // 2
    low, high, centre = given
    inside = low - centre + lines_y // 2 >= 0 and high - centre + lines_y // 2 < lines_y
    if centre == 0 and high > 0 and not inside:
        notes.append(f"the centre of kspace_encoding_step_1 is not filled in: line {lines_y // 2} is taken")
        return lines_y // 2
    if not inside:
        notes.append(f"lines {low} to {high} about the centre {centre} do not fit the matrix of {lines_y}")
    return centre


def acceleration(parallel: Any, notes: list[str]) -> tuple[float, str]:
    """Acceleration along y, and the calibration mode (``none`` if not declared)."""
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
    if factor is None or not 1 <= factor <= MOST_ACCELERATION:
        raise HeaderError(
            f"an acceleration factor of {given!r} along kspace_encoding_step_1",
            f"1 to {MOST_ACCELERATION}",
            CORRECT,
        )
    mode = getattr(parallel.calibrationMode, "value", parallel.calibrationMode)
    calibration = mode if mode in CALIBRATION_MODES else "none"
    if factor > 1 and calibration == "none":
        notes.append(
            f"acceleration {factor:g}, calibration {calibration}: calibration lines are sought in the data"
        )
    return factor, calibration


def count(limits: Any, name: str) -> int:
    """How many values a counter takes: its maximum + 1, or 1 without limits."""
    limit = getattr(limits, name, None)
    if limit is None:
        return 1
    low, high = number(limit.minimum), number(limit.maximum)
    if low is None or high is None or not 0 <= low <= high <= LARGEST_COUNTER:
        raise HeaderError(
            f"{name} limits {limit.minimum!r} to {limit.maximum!r}",
            f"0 <= minimum <= maximum <= {LARGEST_COUNTER}",
            CORRECT,
        )
    return int(high) + 1


def coil_count(header: Any) -> int | None:
    """receiverChannels, None if not given."""
    given = getattr(header.acquisitionSystemInformation, "receiverChannels", None)
    if given is None:
        return None
    coils = number(given)
    if coils is None or not 1 <= coils <= MOST_COILS:
        raise HeaderError(f"receiverChannels = {given!r}", f"1 to {MOST_COILS}", CORRECT)
    return int(coils)


def noise_bandwidth(header: Any, notes: list[str]) -> float:
    """relativeReceiverNoiseBandwidth, 1.0 if not given (a factor on the noise variance)."""
    given = getattr(header.acquisitionSystemInformation, "relativeReceiverNoiseBandwidth", None)
    if given is None:
        return 1.0
    value = number(given)
    if value is None or not 0 < value <= 10:
        notes.append(f"relativeReceiverNoiseBandwidth {given!r} makes no sense: 1.0 is taken")
        return 1.0
    return value


def number(value: Any) -> float | None:
    """The value if it is a finite number (a lenient parser leaves text behind)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
