"""Partitions counted in ``idx.slice``: put right where that is certain, refused where it is not, never a wrong image."""

from __future__ import annotations

from typing import Any

import ismrmrd
import numpy as np
import pytest
from simulated import NOISE, header_of, readouts_of, reconstructed, scan

from smug_recon.errors import DataError
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.survey.heads import survey
from smug_recon.pipeline import load_pipeline
from smug_recon.simulation.raw.file import RawScan

SIZE_Z = 12
SLAB: dict[str, Any] = {
    "matrix_xy": (24, 32),
    "matrix_z": SIZE_Z,
    "orientation": "axial",
    "thickness_mm": 8.0,
    "oversampling": 1,
    "snr": 200.0,
    "acceleration": 1.0,
    "calibration": "none",
}
STACK = {**SLAB, "matrix_z": 1, "slices": SIZE_Z, "spacing_mm": 8.0}


def limit(count: int) -> Any:
    return ismrmrd.xsd.limitType(minimum=0, maximum=count - 1, center=0)


def counted_in_slices(raw: RawScan, limits: bool) -> tuple[list[ismrmrd.Acquisition], Any]:
    """The readouts and the header of a 3-D scan as some converters count them."""
    header, items = header_of(raw), readouts_of(raw)
    found = header.encoding[0].encodingLimits
    found.kspace_encoding_step_2 = None
    found.slice = limit(SIZE_Z) if limits else None
    if limits:
        found.kspace_encoding_step_2 = limit(1)
    for item in items:
        item.idx.slice, item.idx.kspace_encode_step_2 = item.idx.kspace_encode_step_2, 0
        item.flags = item.flags & NOISE
    return items, header


def stack(positions: bool) -> tuple[RawScan, list[ismrmrd.Acquisition], Any]:
    """A stack of slices whose header gives their number as matrix z, and no limits."""
    raw = scan(**STACK)
    header, items = header_of(raw), readouts_of(raw)
    header.encoding[0].encodedSpace.matrixSize.z = SIZE_Z
    header.encoding[0].encodingLimits.kspace_encoding_step_2 = None
    for item in items:
        if not positions:
            item.position = (0.0, 0.0, 0.0)
    return raw, items, header


def heads_of(items: list[ismrmrd.Acquisition]) -> np.ndarray:
    """The table of their headers."""
    kind = ismrmrd.hdf5.acquisition_header_dtype
    return np.frombuffer(b"".join(bytes(item.getHead()) for item in items), kind)


@pytest.mark.parametrize(
    "settings", [{}, {"acceleration": 2.0, "pattern": "poisson", "calibration": "embedded", "acs": 8}]
)
@pytest.mark.parametrize("limits", [False, True])
@pytest.mark.parametrize("positions", [False, True])
def test_a_slab_counted_in_slices_is_the_slab(
    settings: dict[str, Any], limits: bool, positions: bool, conventional_model: Any
) -> None:
    raw = scan(**{**SLAB, **settings})
    items, header = counted_in_slices(raw, limits)
    for item in items:
        item.position = item.position if positions else (0.0, 0.0, 0.0)
    counted = survey(heads_of(items), build_plan(header, load_pipeline()), header)
    assert counted.slices == 1
    found = reconstructed(items, header, conventional_model)
    assert len(found.images) == SIZE_Z
    assert found.nrmse(raw.truth.whitened_syx) < 0.06
    assert any("counted in idx.slice" in text for text in found.report.warnings)


@pytest.mark.parametrize("positions", [True, False])
def test_a_stack_with_its_number_of_slices_as_matrix_z_is_a_stack(
    positions: bool, conventional_model: Any
) -> None:
    raw, items, header = stack(positions)
    found = reconstructed(items, header, conventional_model)
    assert len(found.images) == SIZE_Z
    ordered = sorted(found.images, key=lambda image: image.slice)
    found.images[:] = ordered
    assert found.nrmse(raw.truth.whitened_syx) < 0.06


def test_a_stack_at_one_position_is_refused(conventional_model: Any) -> None:
    _, items, header = stack(True)
    for item in items:
        item.position = (1.0, 2.0, 3.0)
    with pytest.raises(DataError, match="12 slices at one position"):
        reconstructed(items, header, conventional_model)


@pytest.mark.parametrize("fault", ["fewer", "in another order"])
def test_partitions_that_are_not_certain_are_refused(fault: str, conventional_model: Any) -> None:
    items, header = counted_in_slices(scan(**SLAB), True)
    if fault == "fewer":
        items = [item for item in items if item.flags & NOISE or item.idx.slice != 2]
        with pytest.raises(DataError, match="11 slices at one position"):
            survey(heads_of(items), build_plan(header, load_pipeline()), header)
    else:  # the centre first
        for item in items:
            item.idx.slice = (item.idx.slice - SIZE_Z // 2) % SIZE_Z
    with pytest.raises(DataError, match="slices at one position"):
        reconstructed(items, header, conventional_model)


@pytest.mark.parametrize("limits", [False, True])
def test_partitions_that_no_counter_tells_apart_are_refused(limits: bool, conventional_model: Any) -> None:
    items, header = counted_in_slices(scan(**SLAB), limits)
    for item in items:
        item.idx.slice = 0
    with pytest.raises(DataError, match="12 times in partition 0"):
        reconstructed(items, header, conventional_model)
