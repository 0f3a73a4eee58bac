"""An external reference scan of a slab, in another contrast, on another grid and elsewhere, is regridded in three dimensions."""

from __future__ import annotations

from typing import Any

import ismrmrd
import numpy as np
import pytest
from simulated import NOISE, header_of, parts_of, readouts_of, reconstructed, scan

from smug_recon.gadgets.maps.reference_scan import NOTE

SLAB: dict[str, Any] = {
    "matrix_xy": (24, 32),
    "matrix_z": 12,
    "orientation": "axial",
    "thickness_mm": 8.0,
    "pattern": "regular",
    "calibration": "none",
    "snr": 200.0,
}


def slab_reference(
    raw: Any, sizes: tuple[int, int, int], fov_mm: tuple[float, float, float], shift_mm: np.ndarray
) -> tuple[Any, list[ismrmrd.Acquisition]]:
    """Sample the coil images of a slab (z, y, x) in another contrast on another grid; header and readouts."""
    header = header_of(raw)
    other, encoded = header_of(raw).encoding[0], header.encoding[0].encodedSpace.fieldOfView_mm
    image_zyx, maps_zcyx = raw.truth.image_syx, raw.truth.maps_scyx
    other_zyx = np.sqrt(np.abs(image_zyx)) * np.exp(0.7j)
    pixel_mm = (
        encoded.z / image_zyx.shape[0],
        encoded.y / image_zyx.shape[1],
        encoded.y / image_zyx.shape[1],
    )
    waves = []
    for axis, size in enumerate(sizes):
        count = image_zyx.shape[axis]
        place_mm = (np.arange(count) - count // 2) * pixel_mm[axis] - shift_mm[axis]
        waves.append(np.exp(-2j * np.pi * np.outer(np.arange(size) - size // 2, place_mm / fov_mm[axis])))
    kspace = np.einsum("zcyx,zyx,kz,jy,ix->kjci", maps_zcyx, other_zyx, *waves, optimize=True)
    for name, size, length in zip("zyx", sizes, fov_mm, strict=True):
        setattr(other.encodedSpace.matrixSize, name, size)
        setattr(other.encodedSpace.fieldOfView_mm, name, length)
    for limit, size in (("kspace_encoding_step_1", sizes[1]), ("kspace_encoding_step_2", sizes[0])):
        step = getattr(other.encodingLimits, limit)
        step.minimum, step.maximum, step.center = 0, size - 1, size // 2
    header.encoding.append(other)
    template = next(r for r in readouts_of(raw) if not r.flags & NOISE).getHead()
    made = []
    for z, y in np.ndindex(sizes[:2]):
        readout = ismrmrd.Acquisition.from_array(np.ascontiguousarray(kspace[z, y], np.complex64))
        place_mm = np.asarray(template.position, float)
        for axis, name in enumerate(("slice_dir", "phase_dir", "read_dir")):
            setattr(readout, name, tuple(getattr(template, name)))
            place_mm = place_mm + shift_mm[axis] * np.asarray(getattr(template, name))
        readout.position, readout.center_sample = tuple(place_mm), sizes[2] // 2
        readout.scan_counter, readout.sample_time_us, readout.encoding_space_ref = 40_000 + z, 7.0, 1
        readout.idx.kspace_encode_step_1, readout.idx.kspace_encode_step_2 = y, z
        readout.setFlag(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
        made.append(readout)
    return header, made


@pytest.mark.parametrize(("acceleration", "coils", "error"), [(2.0, 4, 0.05), (4.0, 12, 0.12)])
def test_the_reference_scan_of_a_slab_is_regridded_in_three_dimensions(
    acceleration: float, coils: int, error: float, conventional_model: Any
) -> None:
    """Of another matrix and field of view along all axes, beside the slab; transformed along kz, and in (ky, kz)."""
    raw = scan(**{**SLAB, "acceleration": acceleration, "coils": coils})
    noise, imaging = parts_of(raw)
    space = header_of(raw).encoding[0].encodedSpace.fieldOfView_mm
    fov_mm = (1.5 * space.z, 1.2 * space.y, 0.6 * space.x)
    header, reference = slab_reference(raw, (13, 14, 16), fov_mm, np.array([2.0, -11.0, 7.0]))
    found = reconstructed([*noise, *reference, *imaging], header, conventional_model)
    assert NOTE in found.comments and found.report.fallbacks == 0 and not found.others
    assert found.nrmse(raw.truth.whitened_syx) < error
