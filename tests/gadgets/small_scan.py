"""A small raw scan for the stage tests: known objects, coils, noise; any order of the readouts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import ismrmrd
import numpy as np

LINES_Y, SAMPLES_X, READOUT_X, COILS = 48, 96, 48, 4
DWELL_US, NOISE_DWELL_US = 5.0, 10.0


def header_xml(
    slices: int = 1,
    acceleration: int = 2,
    repetitions: int = 1,
    averages: int = 1,
    calibration: str | None = "embedded",
    recon_yx: tuple[int, int] = (LINES_Y, READOUT_X),
    recon_fov_yx_mm: tuple[float, float] = (192.0, 192.0),
    limits: bool = True,
) -> str:
    """Return an MRD header of the small scan: 192 mm, 48 lines, twofold readout oversampling."""

    def counter(values: int, centre: int = 0) -> str:
        return f"<minimum>0</minimum><maximum>{values - 1}</maximum><center>{centre}</center>"

    def space(name: str, x: int, y: int, fov_x: float, fov_y: float) -> str:
        return (
            f"<{name}><matrixSize><x>{x}</x><y>{y}</y><z>1</z></matrixSize>"
            f"<fieldOfView_mm><x>{fov_x}</x><y>{fov_y}</y><z>5</z></fieldOfView_mm></{name}>"
        )

    parallel = (
        "<parallelImaging><accelerationFactor>"
        f"<kspace_encoding_step_1>{acceleration}"
        "</kspace_encoding_step_1>"
        "<kspace_encoding_step_2>1</kspace_encoding_step_2></accelerationFactor>"
        f"<calibrationMode>{calibration}</calibrationMode></parallelImaging>"
        if calibration
        else ""
    )
    counters = (
        f"<kspace_encoding_step_1>{counter(LINES_Y, LINES_Y // 2)}</kspace_encoding_step_1>"
        f"<average>{counter(averages)}</average><slice>{counter(slices)}</slice>"
        f"<repetition>{counter(repetitions)}</repetition>"
        if limits
        else ""
    )
    return (
        '<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">'
        "<measurementInformation><patientPosition>HFS</patientPosition><protocolName>head</protocolName>"
        "</measurementInformation><acquisitionSystemInformation>"
        "<relativeReceiverNoiseBandwidth>0.8</relativeReceiverNoiseBandwidth>"
        f"<receiverChannels>{COILS}</receiverChannels></acquisitionSystemInformation>"
        "<experimentalConditions><H1resonanceFrequency_Hz>63870000</H1resonanceFrequency_Hz>"
        "</experimentalConditions><encoding>"
        + space("encodedSpace", SAMPLES_X, LINES_Y, 384.0, 192.0)
        + space("reconSpace", recon_yx[1], recon_yx[0], recon_fov_yx_mm[1], recon_fov_yx_mm[0])
        + f"<encodingLimits>{counters}</encodingLimits><trajectory>cartesian</trajectory>{parallel}"
        "</encoding></ismrmrdHeader>"
    )


def header(**options: Any) -> ismrmrd.xsd.ismrmrdHeader:
    """Return the MRD header of the small scan."""
    return ismrmrd.xsd.CreateFromDocument(header_xml(**options))


def coil_images(slice_index: int = 0) -> np.ndarray:
    """Return images_cyx of an off-centre object on the oversampled grid: nothing in it is symmetric."""
    y, x = np.mgrid[0:LINES_Y, 0:SAMPLES_X]
    y, x = (y - LINES_Y // 2) / LINES_Y, (x - SAMPLES_X // 2) / READOUT_X
    body = ((y / 0.4) ** 2 + ((x - 0.02) / 0.35) ** 2 < 1) * (1.0 + 0.2 * slice_index)
    body = body + 0.8 * (((y - 0.12) / 0.1) ** 2 + ((x + 0.1) / 0.08) ** 2 < 1)
    angles = 2 * np.pi * np.arange(COILS) / COILS
    centres = 0.6 * np.stack([np.sin(angles), np.cos(angles)], 1)
    maps = [np.exp(-((y - a) ** 2 + (x - b) ** 2) / 0.5 + 1j * (a * x - b * y)) for a, b in centres]
    return (body * np.stack(maps)).astype(np.complex64)


def centred_fft(images: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Return the centred orthonormal transform, by NumPy."""
    shifted = np.fft.fftn(np.fft.ifftshift(images, axes=axes), axes=axes, norm="ortho")
    return np.fft.fftshift(shifted, axes=axes)


def sampled_lines(acceleration: int = 2, centre_lines: int = 16) -> list[int]:
    """Return every ``acceleration``-th line and the centre lines."""
    centre = range(LINES_Y // 2 - centre_lines // 2, LINES_Y // 2 + centre_lines // 2)
    return sorted({*range(0, LINES_Y, acceleration), *centre})


@dataclass
class SmallScan:
    """Builds readouts with running scan counters and time stamps."""

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    counter: int = 0
    noise_root: np.ndarray | None = None  # colours white noise: covariance = root root^H
    readouts: list[ismrmrd.Acquisition] = field(default_factory=list)

    def add(self, data_cx: np.ndarray, flags: int = 0, dwell_us: float = DWELL_US, **idx: int) -> Any:
        """Append one readout; ``idx`` are encoding counters."""
        found = ismrmrd.Acquisition.from_array(np.ascontiguousarray(data_cx, np.complex64))
        found.center_sample = data_cx.shape[1] // 2
        found.scan_counter = self.counter
        found.acquisition_time_stamp = 1000 + self.counter
        found.sample_time_us = dwell_us
        found.position = (1.0, 2.0, 3.0 + 5.0 * idx.get("slice", 0))
        found.read_dir, found.phase_dir, found.slice_dir = (0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, -1.0)
        for name, value in idx.items():
            setattr(found.idx, name, value)
        for flag in range(1, 65):
            if flags & (1 << (flag - 1)):
                found.setFlag(flag)
        self.counter += 1
        self.readouts.append(found)
        return found

    def noise(self, samples: int, coils: int = COILS) -> np.ndarray:
        """Return noise_cn of unit complex variance, coloured by ``noise_root``."""
        white = self.rng.standard_normal((2, coils, samples)) * np.sqrt(0.5)
        found = white[0] + 1j * white[1]
        return found if self.noise_root is None else self.noise_root @ found

    def add_noise_scan(self, readouts: int = 8, samples: int = 256) -> None:
        """Append a noise scan."""
        for _ in range(readouts):
            self.add(self.noise(samples), 1 << (ismrmrd.ACQ_IS_NOISE_MEASUREMENT - 1), NOISE_DWELL_US)

    def add_slice(
        self,
        slice_index: int = 0,
        lines: list[int] | None = None,
        last: bool = True,
        centre_flag: int = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING,
        noise_level: float = 1e-3,
        **idx: int,
    ) -> None:
        """Append the lines of one slice in ascending order, the centre 16 flagged as calibration lines."""
        kspace_cyx = centred_fft(coil_images(slice_index), (1, 2))
        lines = sampled_lines() if lines is None else lines
        for line in lines:
            flags = 1 << (centre_flag - 1) if abs(line - LINES_Y // 2 + 0.5) < 8 else 0
            if last and line == lines[-1]:
                flags |= 1 << (ismrmrd.ACQ_LAST_IN_SLICE - 1)
            data_cx = kspace_cyx[:, line] + noise_level * self.noise(SAMPLES_X)
            self.add(data_cx, flags, slice=slice_index, kspace_encode_step_1=line, **idx)


def whole_scan(slices: int = 1, noise_root: np.ndarray | None = None) -> SmallScan:
    """Return a noise scan and, after it, slice upon slice."""
    made = SmallScan(noise_root=noise_root)
    made.add_noise_scan()
    for index in range(slices):
        made.add_slice(index)
    return made
