"""What flows between the stages: readouts, slices, reconstructions. Everything else is a foreign item and
passes through.

    ismrmrd.Acquisition ─▶ Readout ─▶ Slice ─▶ Reconstruction ─▶ ismrmrd.Image

The shapes are those of docs/dimensions.md: c coil, y phase encode, x readout (already transformed: hybrid
space).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import ismrmrd
import numpy as np

if TYPE_CHECKING:  # the header is checked before torch is imported
    from torch import Tensor


def flag_bit(number: int) -> int:
    """Return the bit mask of an MRD flag number (they count from 1)."""
    return 1 << (number - 1)


NOISE = flag_bit(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
CALIBRATION = flag_bit(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
CALIBRATION_AND_IMAGING = flag_bit(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING)
REVERSE = flag_bit(ismrmrd.ACQ_IS_REVERSE)
LAST_IN_SLICE = flag_bit(ismrmrd.ACQ_LAST_IN_SLICE)
LAST_IN_REPETITION = flag_bit(ismrmrd.ACQ_LAST_IN_REPETITION)
LAST_IN_MEASUREMENT = flag_bit(ismrmrd.ACQ_LAST_IN_MEASUREMENT)

#: flags of readouts that carry no image line; such readouts pass through the chain unchanged
NOT_IMAGING: dict[int, str] = {
    flag_bit(ismrmrd.ACQ_IS_NAVIGATION_DATA): "navigator",
    flag_bit(ismrmrd.ACQ_IS_PHASECORR_DATA): "phase correction",
    flag_bit(ismrmrd.ACQ_IS_HPFEEDBACK_DATA): "high-priority feedback",
    flag_bit(ismrmrd.ACQ_IS_DUMMYSCAN_DATA): "dummy scan",
    flag_bit(ismrmrd.ACQ_IS_RTFEEDBACK_DATA): "real-time feedback",
    flag_bit(ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA): "surface coil correction",
    flag_bit(ismrmrd.ACQ_IS_PHASE_STABILIZATION_REFERENCE): "phase stabilisation reference",
    flag_bit(ismrmrd.ACQ_IS_PHASE_STABILIZATION): "phase stabilisation",
}
_ANY_NOT_IMAGING = sum(NOT_IMAGING)


def not_imaging(acquisition: ismrmrd.Acquisition) -> str | None:
    """Name the reason why this readout carries no image line, or None if it does (or is noise)."""
    flags = acquisition.flags
    if flags & _ANY_NOT_IMAGING:
        return next(name for bit, name in NOT_IMAGING.items() if flags & bit)
    if acquisition.encoding_space_ref != 0 and not flags & NOISE:
        return "other encoding space"
    return None


def only_calibration(head: ismrmrd.AcquisitionHeader) -> bool:
    """Whether a readout is flagged for calibration and not for the image as well."""
    return bool(head.flags & CALIBRATION) and not head.flags & CALIBRATION_AND_IMAGING


def header_of(acquisition: ismrmrd.Acquisition) -> ismrmrd.AcquisitionHeader:
    """Return a copy of the header of a readout; ``getHead`` makes a deep copy, which takes ten times as long."""
    held = getattr(acquisition, "_head", None)
    if isinstance(held, ismrmrd.AcquisitionHeader):
        return ismrmrd.AcquisitionHeader.from_buffer_copy(held)
    return acquisition.getHead()


class SliceKey(NamedTuple):
    """What tells one image from another; averages and segments belong to the same image."""

    slice: int
    contrast: int
    phase: int
    repetition: int
    set: int

    @classmethod
    def of(cls, head: ismrmrd.AcquisitionHeader) -> SliceKey:
        """Return the key of a readout's header."""
        idx = head.idx
        return cls(idx.slice, idx.contrast, idx.phase, idx.repetition, idx.set)

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {value}"
            for name, value in zip(self._fields, self, strict=True)
            if value or name == "slice"
        )


@dataclass
class Readout:
    """One line in hybrid space: transformed along the readout, oversampling removed; ``data_cx``
    complex64."""

    head: ismrmrd.AcquisitionHeader
    data_cx: Tensor

    @property
    def dwell_us(self) -> float:
        """Dwell time of the acquired (oversampled) samples."""
        return float(self.head.sample_time_us)


@dataclass
class Slice:
    """One slice in hybrid space (ky, x), the k-space centre at line ``lines_y // 2``; zero where not
    sampled."""

    key: SliceKey
    head: ismrmrd.AcquisitionHeader  # of the line nearest to the k-space centre
    kspace_cyx: Tensor
    mask_y: Tensor  # bool
    flagged_y: Tensor  # bool: flagged as calibration lines
    dwell_us: float
    calibration_cyx: Tensor | None = None  # separate calibration lines on the same grid
    calibration_mask_y: Tensor | None = None
    calibration_dwell_us: float = 0.0
    maps_cyx: Tensor | None = None
    second_maps_cyx: Tensor | None = None  # of what folds into the field of view; zero where nothing does
    left_out: tuple[int, ...] = ()  # receive channels that are not in kspace_cyx: they have no signal
    lines: int = 0
    whitened: bool = False
    notes: list[str] = field(default_factory=list)
    weight_y: Tensor | None = (
        None  # 0 to 1, inverse noise variance of the lines where averages differ in number
    )
    partial_y: tuple[int, int] | None = None  # first and last row of a partial Fourier acquisition
    partition: int = 0  # of ``partitions`` along the slab of a 3-D scan
    partitions: int = 1
    barred: str = ""  # why the network is not to see this slice (``strict``)
    no_maps: str = ""  # why there are no coil maps: what cannot be done without them is left out


@dataclass
class Volume(Slice):
    """One slab of a 3-D scan, hybrid space (kz, ky, x): its rows are those of (z, y), flattened, y running fastest.

    Everything that treats rows alike (whitening, coil compression) treats a volume as a slice of many rows.
    """

    lines_z: int = 1


@dataclass
class Reconstruction:
    """One complex image and what there is to say about it; ``pixels_yx`` is set by the scaling stage."""

    key: SliceKey
    head: ismrmrd.AcquisitionHeader
    role: str  # "SMUG", "CG-SENSE" or "SMUG uncertainty": the series
    image_yx: Tensor
    coils: int
    lines: int
    sampled_lines: int
    whitened: bool
    fallback: bool = False
    method: str = ""  # what made the pixels of a fallback: "CG-SENSE" or "RSS"
    reason: str = ""  # why there is a fallback
    has_phase: bool = True  # False: a magnitude, which phase constraints (POCS) would spoil
    device: str = ""  # that the pixels were computed on
    notes: list[str] = field(default_factory=list)
    pixels_yx: np.ndarray | None = None
    scale: float | None = None
    saturated: int = 0
    partial_y: tuple[int, int] | None = None
    partition: int = 0
    partitions: int = 1
    kept_back: bool = False  # made for the observer of the stream alone: it is not sent
    of_lines: int = 0  # lines of the encoded matrix, phase encodes times partitions in a 3-D scan
