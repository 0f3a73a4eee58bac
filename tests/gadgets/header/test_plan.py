"""The plan: what it reads from a header, what it refuses, and what it only says."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ismrmrd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_scan import header as small_header

from smug_recon.errors import HeaderError
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.model.card import Card
from smug_recon.gadgets.model.file import read_card
from smug_recon.pipeline import load_pipeline, shipped_folder

xsd = ismrmrd.xsd
PIPELINE = load_pipeline()


def header_of(encoded: tuple[int, int, int] = (96, 48, 1), **changes: Any) -> Any:
    """A header of 2x readout oversampling, changed by attribute of its encoding."""
    found = small_header()
    encoding = found.encoding[0]
    size = encoding.encodedSpace.matrixSize
    size.x, size.y, size.z = encoded
    for name, value in changes.items():
        assert hasattr(encoding, name)
        setattr(encoding, name, value)
    return found


def fov_of(space: Any, x: float, y: float) -> None:
    space.fieldOfView_mm.x, space.fieldOfView_mm.y = x, y


def limit(low: int, high: int, centre: int) -> Any:
    return xsd.limitType(minimum=low, maximum=high, center=centre)


def small_card(**trained: Any) -> Card:
    """The shipped model's card with another trained range."""
    card = read_card(shipped_folder() / "models" / "smug-brain-4x.pt")
    return card.model_copy(update={"trained_range": card.trained_range.model_copy(update=trained)})


def test_a_plain_scan() -> None:
    plan = build_plan(header_of(), PIPELINE)
    assert plan.encoded_xyz == (96, 48, 1)
    assert plan.readout_x == 48
    assert (plan.lines_y, plan.centre_y) == (48, 24)
    assert (plan.slices, plan.contrasts, plan.repetitions, plan.sets) == (1, 1, 1, 1)
    assert (plan.acceleration_y, plan.calibration, plan.coils) == (2.0, "embedded", 4)
    assert plan.receiver_noise_bandwidth == pytest.approx(0.8)
    assert plan.warnings == ()


@pytest.mark.parametrize("name", ["brain8ch.h5", "brain8ch_R4.h5"])
def test_the_real_scans(shared_data: Path, name: str) -> None:
    with ismrmrd.File(shared_data / name, "r") as file:
        plan = build_plan(file["dataset"].header, PIPELINE)
    assert plan.encoded_xyz == plan.recon_xyz == (230, 180, 1)
    assert (plan.readout_x, plan.lines_y, plan.centre_y, plan.coils) == (230, 180, 90, 8)
    assert plan.acceleration_y == (4 if "R4" in name else 1)
    assert plan.warnings == ()


@given(
    lines=st.integers(8, 300),
    columns=st.integers(8, 300),
    oversampling=st.sampled_from([1.0, 1.25, 2.0]),
    phase_oversampling=st.floats(1.0, 2.0),
    interpolation=st.integers(1, 3),
)
@settings(max_examples=40, deadline=None)
def test_oversampling_is_removed_and_nothing_else(
    lines: int, columns: int, oversampling: float, phase_oversampling: float, interpolation: int
) -> None:
    """For any size, odd ones included, the kept samples span the recon field of view."""
    encoded_x = round(columns * oversampling)
    header = header_of((encoded_x, lines, 1))
    header.encoding[0].encodingLimits = xsd.encodingLimitsType()
    recon = header.encoding[0].reconSpace
    recon.matrixSize.x, recon.matrixSize.y = columns * interpolation, lines * interpolation
    fov_of(recon, 200.0, 200.0)
    fov_of(header.encoding[0].encodedSpace, 200.0 * encoded_x / columns, 200.0 * phase_oversampling)
    plan = build_plan(header, PIPELINE)
    assert plan.readout_x == columns
    assert plan.lines_y == lines
    assert plan.centre_y == lines // 2
    assert plan.image_yx == (lines, columns)


def test_optional_elements_may_be_missing() -> None:
    header = header_of(parallelImaging=None, encodingLimits=xsd.encodingLimitsType())
    header.acquisitionSystemInformation = None
    header.measurementInformation = None
    plan = build_plan(header, PIPELINE)
    assert (plan.coils, plan.receiver_noise_bandwidth) == (None, 1.0)
    assert (plan.acceleration_y, plan.calibration, plan.slices) == (1.0, "none", 1)
    assert plan.centre_y == 24


def test_counters_are_maximum_plus_one() -> None:
    limits = xsd.encodingLimitsType(slice=limit(0, 4, 0), repetition=limit(0, 9, 0), contrast=limit(0, 1, 0))
    plan = build_plan(header_of(encodingLimits=limits), PIPELINE)
    assert (plan.slices, plan.repetitions, plan.contrasts) == (5, 10, 2)


def test_the_centre_line_is_the_given_one() -> None:
    """Partial Fourier: 36 of 48 lines, the k-space centre at line 12."""
    limits = xsd.encodingLimitsType(kspace_encoding_step_1=limit(0, 35, 12))
    plan = build_plan(header_of(encodingLimits=limits), PIPELINE)
    assert plan.centre_y == 12
    assert plan.warnings == ()


def test_a_centre_line_that_was_not_filled_in() -> None:
    limits = xsd.encodingLimitsType(kspace_encoding_step_1=limit(0, 47, 0))
    plan = build_plan(header_of(encodingLimits=limits), PIPELINE)
    assert plan.centre_y == 24
    assert "centre of kspace_encoding_step_1" in plan.warnings[0]


def test_lines_that_do_not_fit_are_said() -> None:
    limits = xsd.encodingLimitsType(kspace_encoding_step_1=limit(0, 60, 30))
    assert "do not fit" in build_plan(header_of(encodingLimits=limits), PIPELINE).warnings[0]


def test_slices_as_matrix_z_are_no_partitions() -> None:
    limits = xsd.encodingLimitsType(slice=limit(0, 4, 0), kspace_encoding_step_2=limit(0, 0, 0))
    plan = build_plan(header_of((96, 48, 5), encodingLimits=limits), PIPELINE)
    assert plan.encoded_xyz[2] == plan.recon_xyz[2] == 1
    assert "taken as 2-D" in plan.warnings[0]


def test_further_encodings_are_said() -> None:
    header = header_of()
    header.encoding.append(header.encoding[0])
    assert "2 encodings" in build_plan(header, PIPELINE).warnings[0]


def test_acceleration_without_calibration_is_sought_in_the_data() -> None:
    header = header_of()
    header.encoding[0].parallelImaging.calibrationMode = None
    plan = build_plan(header, PIPELINE)
    assert plan.calibration == "none"
    assert "sought in the data" in plan.warnings[0]


def test_a_scan_outside_the_trained_range_is_said_but_not_refused() -> None:
    card = small_card(matrix_yx=((100, 200), (40, 50)), coils=(8, 16), acceleration=(3.0, 5.0))
    said = " ".join(build_plan(header_of(), PIPELINE, card).warnings)
    assert "phase-encode matrix 48" in said and "100 to 200" in said
    assert "coils 4" in said and "acceleration 2" in said
    assert "readout matrix" not in said


def test_few_calibration_lines_are_held_against_the_card() -> None:
    card = small_card(calibration_lines=(16, 32))
    assert card.few_calibration_lines(16) == card.few_calibration_lines(180) == []
    assert "at least 16" in card.few_calibration_lines(12)[0]


def refused(header: Any) -> str:
    """The message of the HeaderError; it has its three parts."""
    with pytest.raises(HeaderError) as caught:
        build_plan(header, PIPELINE)
    assert caught.value.found and caught.value.expected and caught.value.remedy
    return str(caught.value)


@pytest.mark.parametrize("name", ["RADIAL", "SPIRAL", "GOLDENANGLE", "OTHER", "EPI"])
def test_other_trajectories_are_refused(name: str) -> None:
    trajectory = xsd.trajectoryType[name]
    assert repr(trajectory.value) in refused(header_of(trajectory=trajectory))


def test_no_encoding_is_refused() -> None:
    header = header_of()
    header.encoding = []
    assert "no encoding" in refused(header)


@pytest.mark.parametrize("size", [(0, 48, 1), (96, -1, 1), (96, 100000, 1), (96, 4, 1), (96, 48, 2000)])
def test_matrices_that_cannot_be_are_refused(size: tuple[int, int, int]) -> None:
    said = refused(header_of(size))
    assert "partitions" in said if size[2] > 1 else "matrixSize" in said


@pytest.mark.parametrize("length", [0.0, -200.0, float("nan"), float("inf"), "200mm", None])
def test_fields_of_view_that_cannot_be_are_refused(length: Any) -> None:
    header = header_of()
    header.encoding[0].encodedSpace.fieldOfView_mm.y = length
    assert "fieldOfView_mm y" in refused(header)


@pytest.mark.parametrize(
    ("z", "given", "expected"),
    [
        (32, limit(0, 31, 16), (32, 16)),
        (32, None, (32, 16)),  # no limits at all
        (32, limit(0, 0, 0), (32, 16)),  # limits never filled in
        (32, limit(0, 31, 0), (32, 16)),  # only their centre was not
        (32, limit(0, 23, 8), (32, 8)),  # partial Fourier along the slab
        (1, limit(0, 31, 16), (32, 16)),  # matrix z not filled in
        (1, limit(0, 0, 0), (1, 0)),
    ],
)
def test_partitions_of_a_header(z: int, given: Any, expected: tuple[int, int]) -> None:
    limits = xsd.encodingLimitsType(kspace_encoding_step_2=given)
    plan = build_plan(header_of((96, 48, z), encodingLimits=limits), PIPELINE)
    assert (plan.lines_z, plan.slab.centre) == expected
    assert (plan.slab.images, plan.slab.kept) == (expected[0], expected[0])


def test_slab_oversampling_is_cropped_and_interpolated_as_the_recon_space_says() -> None:
    header = header_of((96, 48, 24), encodingLimits=xsd.encodingLimitsType())
    header.encoding[0].encodedSpace.fieldOfView_mm.z = 60.0
    header.encoding[0].reconSpace.fieldOfView_mm.z = 40.0
    header.encoding[0].reconSpace.matrixSize.z = 32
    plan = build_plan(header, PIPELINE)
    assert (plan.slab.encoded, plan.slab.kept, plan.slab.images, plan.slab.depth_mm) == (24, 16, 32, 40.0)


def test_simultaneous_slices_are_refused() -> None:
    header = header_of()
    header.encoding[0].parallelImaging.multiband = SimpleNamespace(multiband_factor=2)
    assert "multiband" in refused(header)


@pytest.mark.parametrize("given", [0, -2, 1000, "two"])
def test_accelerations_that_cannot_be_are_refused(given: Any) -> None:
    header = header_of()
    header.encoding[0].parallelImaging.accelerationFactor.kspace_encoding_step_1 = given
    assert "acceleration factor" in refused(header)


@pytest.mark.parametrize("wrong", [(0, 10**6, 0), (5, 4, 0), (0, 47, 10**6)])
def test_limits_that_cannot_be_are_refused(wrong: tuple[int, int, int]) -> None:
    limits = xsd.encodingLimitsType(kspace_encoding_step_1=limit(*wrong))
    assert "kspace_encoding_step_1" in refused(header_of(encodingLimits=limits))
    if wrong[2] == 0:
        assert "slice limits" in refused(
            header_of(encodingLimits=xsd.encodingLimitsType(slice=limit(*wrong)))
        )


def test_a_recon_field_of_view_without_samples_is_refused() -> None:
    header = header_of()
    fov_of(header.encoding[0].reconSpace, 1.0, 192.0)
    assert "field of view" in refused(header)
