"""Scans of a few lines and edits of them: eight bytes of input are one edit, so that every input is a scan.

An edit is (kind, which readout, place, value): bytes of an acquisition header, lost, repeated and swapped readouts, other
numbers of samples and channels, samples that are no numbers, foreign items, values of the MRD header.
"""

from __future__ import annotations

import copy
import ctypes
import struct
from functools import cache
from typing import Any

import ismrmrd
import numpy as np
import torch

from smug_recon.gadgets.model.file import read_card
from smug_recon.physics import cg_sense
from smug_recon.pipeline import load_pipeline
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.scan import simulate_scan

TINY: dict[str, Any] = {
    "matrix_xy": (16, 16),
    "coils": 2,
    "slices": 1,
    "acceleration": 2.0,
    "acs": 8,
    "pattern": "regular",
}
SCANS: tuple[dict[str, Any], ...] = (
    {},
    {"calibration": "separate", "slices": 2},
    {"matrix_z": 4},
    {"averages": 2, "repetitions": 2},
    {"calibration": "external"},
    {"acceleration": 1.0, "partial_fourier": 0.75},
)
EDIT = struct.Struct("<BBH4s")
MOST_EDITS, MOST_VALUES = 15, 1 << 14
HEAD_BYTES = ctypes.sizeof(ismrmrd.AcquisitionHeader)
STRANGE = (float("nan"), float("inf"), -float("inf"), 0.0, 3e38, 1e-45)
LIMITS = (
    "kspace_encoding_step_1",
    "kspace_encoding_step_2",
    "average",
    "slice",
    "contrast",
    "phase",
    "repetition",
)
LIMITS += ("set", "segment")


class Conventional:
    """CG-SENSE in the place of the network."""

    moved = ""

    def __init__(self) -> None:
        card = read_card(load_pipeline().model_path)
        wide = {"matrix_yx": ((1, 999), (1, 999)), "coils": (1, 99), "acceleration": (1, 99)}
        self.card = card.model_copy(update={"trained_range": card.trained_range.model_copy(update=wide)})
        self.sha256, self.device = "0" * 64, torch.device("cpu")

    def forward(self, kspace: Any, maps: Any, mask: Any, seed: int, samples: int) -> Any:
        image_byx = cg_sense(kspace, maps, mask, 1e-3, 2)
        return image_byx, torch.zeros(image_byx.shape)

    def warm_up(self, *_: int) -> float:
        return 0.0


def model() -> Any:
    """The stand-in of the network."""
    return Conventional()


@cache
def base(which: int) -> tuple[str, tuple[tuple[bytes, np.ndarray], ...]]:
    """MRD header and readouts of one of SCANS; of a noise scan the first four readouts."""
    scan = simulate_scan(ScanSettings(**{**TINY, **SCANS[which]}))
    rows, noise = [], 0
    for head, samples in zip(scan.heads, scan.samples, strict=True):
        if int(head["flags"]) & (1 << (ismrmrd.ACQ_IS_NOISE_MEASUREMENT - 1)):
            noise += 1
            if noise > 4:
                continue
        rows.append((head.tobytes(), np.asarray(samples)))
    return scan.xml, tuple(rows)


@cache
def _header(which: int) -> Any:
    return ismrmrd.xsd.CreateFromDocument(base(which)[0])


def edited(data: bytes) -> tuple[list[Any], Any]:
    """The items and the MRD header of a scan after the edits of an input."""
    which = data[0] % len(SCANS) if data else 0
    rows: list[tuple[bytes, np.ndarray] | Any] = list(base(which)[1])
    header = copy.deepcopy(_header(which))
    for at in range(1, min(len(data), 1 + MOST_EDITS * EDIT.size), EDIT.size):
        _edit(rows, header, *EDIT.unpack(data[at : at + EDIT.size].ljust(EDIT.size, b"\0")))
    return [_item(row) for row in rows], header


def _edit(rows: list[Any], header: Any, kind: int, which: int, place: int, value: bytes) -> None:
    kind, number = kind % 10, struct.unpack("<I", value)[0]
    at = which % len(rows) if rows else 0
    if kind == 9:
        _change(header, which, place, value)
    elif not rows:
        return
    elif kind == 1:
        del rows[at]
    elif kind == 2:
        rows.insert(place % (len(rows) + 1), rows[at])
    elif kind == 3:
        other = place % len(rows)
        rows[at], rows[other] = rows[other], rows[at]
    elif kind == 4:
        del rows[at + 1 :]
    elif kind == 5:
        foreign = [_waveform, _image, lambda: "text", lambda: None]
        rows.insert(at, foreign[place % len(foreign)]())
    elif isinstance(rows[at], tuple):
        head, samples = rows[at]
        if kind == 6:
            samples = samples.copy()
            samples.flat[place % max(samples.size, 1)] = STRANGE[number % len(STRANGE)]
        elif kind == 7:
            coils, count = place % 8, number % 128
            samples = np.resize(samples, (coils, count)).astype(np.complex64)
        else:
            place %= HEAD_BYTES - 3
            head = head[:place] + value + head[place + 4 :]
        rows[at] = head, samples


def _change(header: Any, which: int, place: int, value: bytes) -> None:
    """Another value in the encoding of the MRD header."""
    encoding, (number,) = header.encoding[0], struct.unpack("<i", value)
    small = number % 70000 if place & 1 else number % 64
    kind = which % 6
    if kind < 2:
        matrix = (encoding.encodedSpace, encoding.reconSpace)[kind].matrixSize
        setattr(matrix, "xyz"[place // 2 % 3], number % 96)
    elif kind == 2:
        fov = (encoding.encodedSpace, encoding.reconSpace)[place & 1].fieldOfView_mm
        setattr(fov, "xyz"[place // 2 % 3], struct.unpack("<f", value)[0])
    elif kind == 3:
        name = LIMITS[place // 2 % len(LIMITS)]
        limit = getattr(encoding.encodingLimits, name)
        if limit is None:
            limit = ismrmrd.xsd.limitType()
            limit.minimum, limit.maximum, limit.center = 0, 0, 0
            setattr(encoding.encodingLimits, name, limit)
        setattr(limit, ("minimum", "maximum", "center")[place // 64 % 3], small)
    elif kind == 4:
        encoding.parallelImaging = None
    elif encoding.parallelImaging is not None:
        modes = list(ismrmrd.xsd.calibrationModeType)
        encoding.parallelImaging.calibrationMode = modes[place % len(modes)]
        encoding.parallelImaging.accelerationFactor.kspace_encoding_step_1 = small


def _item(row: Any) -> Any:
    """A readout as the reader of the connection makes it: data of the size that its header says."""
    if not isinstance(row, tuple):
        return row
    head, samples = ismrmrd.AcquisitionHeader.from_buffer_copy(row[0]), row[1]
    if head.active_channels * head.number_of_samples > MOST_VALUES or head.trajectory_dimensions > 4:
        head.active_channels, head.number_of_samples = samples.shape
        head.trajectory_dimensions = 0
    elif samples.shape != tuple(np.shape(base(0)[1][-1][1])) and samples.size:
        head.active_channels, head.number_of_samples = samples.shape  # an edit has changed the size
    shape = (head.active_channels, head.number_of_samples)
    path = np.zeros((head.number_of_samples, head.trajectory_dimensions), np.float32)
    return ismrmrd.Acquisition(head, np.resize(samples, shape).astype(np.complex64), path)


def _waveform() -> ismrmrd.Waveform:
    return ismrmrd.Waveform.from_array(np.zeros((1, 4), np.uint32))


def _image() -> ismrmrd.Image:
    image = ismrmrd.Image.from_array(np.ones((4, 4), np.uint16))
    image.meta = ismrmrd.Meta({"SmugLines": "not ours"})
    return image
