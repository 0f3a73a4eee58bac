"""Reading a simulated scan back by the book: what lines of a scan say, without the chain."""

from __future__ import annotations

import math

import ismrmrd
import numpy as np
import torch

from smug_recon.physics import ifft_centred
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import RawScan

QUIET = ScanSettings(
    matrix_xy=(32, 36), coils=3, acs=8, slices=1, acceleration=1, snr=math.inf, noise_scan=False, seed=2
)


def flagged(heads: np.ndarray, flag: int) -> np.ndarray:
    return (heads["flags"] & np.uint64(1 << (flag - 1))) != 0


def rows_of(scan: RawScan, **counters: int) -> np.ndarray:
    """Numbers of the imaging readouts with these counters."""
    chosen = scan.heads["encoding_space_ref"] == 0
    for name in ("NOISE_MEASUREMENT", "PARALLEL_CALIBRATION", "DUMMYSCAN_DATA", "NAVIGATION_DATA"):
        chosen &= ~flagged(scan.heads, getattr(ismrmrd, f"ACQ_IS_{name}"))
    for name, value in counters.items():
        chosen &= scan.heads["idx"][name] == value
    return np.flatnonzero(chosen)


def header_of(scan: RawScan) -> ismrmrd.xsd.ismrmrdHeader:
    return ismrmrd.xsd.CreateFromDocument(scan.xml.encode())


def kspace_of(scan: RawScan, encoding: int = 0, **counters: int) -> np.ndarray:
    """Put the samples on the encoded grid (coil, z, y, x) by header, counters and ``center_sample``."""
    space = header_of(scan).encoding[encoding]
    size, limits = space.encodedSpace.matrixSize, space.encodingLimits
    grid = np.zeros((scan.samples[0].shape[0], size.z, size.y, size.x), np.complex64)
    rows = rows_of(scan, **counters) if encoding == 0 else np.flatnonzero(scan.heads["encoding_space_ref"])
    for row in rows:
        head, samples = scan.heads[row], scan.samples[row]
        centre = int(head["center_sample"])
        valid = slice(int(head["discard_pre"]), samples.shape[1] - int(head["discard_post"]))
        centre, samples = centre - valid.start, samples[:, valid]
        if head["flags"] & np.uint64(1 << (ismrmrd.ACQ_IS_REVERSE - 1)):
            centre, samples = samples.shape[1] - 1 - centre, samples[:, ::-1]
        index = head["idx"]
        y = int(index["kspace_encode_step_1"]) - limits.kspace_encoding_step_1.center + size.y // 2
        z = int(index["kspace_encode_step_2"]) - limits.kspace_encoding_step_2.center + size.z // 2
        start = size.x // 2 - centre
        grid[:, z, y, start : start + samples.shape[1]] = samples
    return grid


def coil_images(kspace_czyx: np.ndarray, width: int) -> np.ndarray:
    """Transform (coil, z, y, x) and cut readout oversampling."""
    images = ifft_centred(torch.from_numpy(kspace_czyx), [1, 2, 3]).numpy()
    start = images.shape[3] // 2 - width // 2
    return images[..., start : start + width]


def combined(scan: RawScan, width: int, location: int = 0, **counters: int) -> np.ndarray:
    """Return the image (z, y, x) combined with the true maps of the scan."""
    images_czyx = coil_images(kspace_of(scan, **counters), width)
    maps = scan.truth.maps_scyx
    maps_zcyx = maps[location : location + 1] if images_czyx.shape[1] == 1 else maps
    return (maps_zcyx.conj() * images_czyx.swapaxes(0, 1)).sum(1)


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference over the largest value."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())
