"""The survey of acquisition headers: what it counts, and what it refuses, against what the chain would do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ismrmrd
import numpy as np
import pytest

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import flag_bit
from smug_recon.gadgets.header.plan import Plan, build_plan
from smug_recon.gadgets.survey.heads import Survey, survey
from smug_recon.pipeline import load_pipeline
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import RawScan
from smug_recon.simulation.scan import simulate_scan

LINES, COILS, ACS = 48, 3, 16
Scan = Callable[..., RawScan]


@pytest.fixture(scope="module")
def scan() -> Scan:
    """Small simulated scans, each kind made once."""
    made: dict[str, RawScan] = {}

    def maker(**changes: Any) -> RawScan:
        key = repr(sorted(changes.items()))
        if key not in made:
            base = {"matrix_xy": (32, LINES), "coils": COILS, "slices": 2, "acceleration": 2.0, "acs": ACS}
            made[key] = simulate_scan(ScanSettings(**{**base, **changes}))
        return made[key]

    return maker


def plan_of(found: RawScan, **overrides: Any) -> Plan:
    pipeline = load_pipeline().with_overrides(overrides)
    return build_plan(ismrmrd.xsd.CreateFromDocument(found.xml), pipeline)


def imaging(heads: np.ndarray) -> np.ndarray:
    return heads["flags"] & np.uint64(flag_bit(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)) == 0


def refused(heads: np.ndarray, plan: Plan) -> str:
    with pytest.raises(DataError) as caught:
        survey(heads, plan)
    assert caught.value.found and caught.value.expected and caught.value.remedy
    return str(caught.value)


@pytest.mark.parametrize("calibration", ["embedded", "unflagged"])
def test_a_scan_is_counted(scan: Scan, calibration: str) -> None:
    raw = scan(calibration=calibration)
    found = survey(raw.heads, plan_of(raw))
    assert (found.readouts, found.passed_on, found.coils) == (len(raw.heads), 0, COILS)
    assert found.noise_readouts == int((~imaging(raw.heads)).sum()) > 0
    assert (found.slices, found.images, found.samples) == (2, 2, 64)
    assert found.lines == (24, 24)
    assert found.acceleration == pytest.approx(2.0)
    assert found.calibration[0] >= ACS
    assert found.warnings == ()


def test_the_order_of_the_readouts_does_not_matter(scan: Scan) -> None:
    raw = scan()
    shuffled = np.random.default_rng(1).permutation(raw.heads)
    assert survey(shuffled, plan_of(raw)) == survey(raw.heads, plan_of(raw))


def test_separate_calibration_lines_are_found(scan: Scan) -> None:
    raw = scan(calibration="separate", pattern="regular", acceleration=3.0)
    found = survey(raw.heads, plan_of(raw))
    assert found.calibration == (ACS, ACS)
    assert found.lines == (16, 16)


def test_a_scan_without_calibration_lines_is_refused(scan: Scan) -> None:
    raw = scan(calibration="none", pattern="regular", acceleration=4.0)
    said = refused(raw.heads, plan_of(raw))
    assert "calibration lines about the k-space centre in slice 0 and in 1 more slices" in said
    assert "at least 8" in said


def test_one_coil_needs_no_calibration_lines(scan: Scan) -> None:
    raw = scan(calibration="none", pattern="regular", acceleration=4.0, coils=1, noise_scan=False)
    assert survey(raw.heads, plan_of(raw)).coils == 1


def test_a_fully_sampled_scan_calibrates_itself(scan: Scan) -> None:
    raw = scan(acceleration=1.0, noise_scan=False)
    found = survey(raw.heads, plan_of(raw))
    assert (found.acceleration, found.calibration, found.noise_readouts) == (1.0, (LINES, LINES), 0)


def test_repetitions_may_share_the_calibration_lines_of_the_first(scan: Scan) -> None:
    raw = scan(noise_scan=False)
    later = raw.heads.copy()
    later["idx"]["repetition"] = 1
    later = later[later["idx"]["kspace_encode_step_1"] != LINES // 2]
    found = survey(np.concatenate([raw.heads, later]), plan_of(raw))
    assert found.images == 4
    assert "2 images use the coil maps of another repetition" in found.warnings[0]


def test_nothing_and_noise_alone_are_refused(scan: Scan) -> None:
    raw = scan()
    plan = plan_of(raw)
    assert "no acquisitions" in refused(raw.heads[:0], plan)
    assert "no imaging line" in refused(raw.heads[~imaging(raw.heads)], plan)


def changed(scan: Scan, field: str, value: int, every: bool = False) -> Survey | str:
    """The survey, or the refusal, with one field of the last readout (or of all imaging readouts) changed."""
    raw = scan()
    heads = raw.heads.copy()
    rows = imaging(heads) if every else np.array([len(heads) - 1])
    if field in (heads.dtype["idx"].names or ()):
        heads["idx"][field][rows] = value
    else:
        heads[field][rows] = value
    try:
        return survey(heads, plan_of(raw))
    except DataError as error:
        return str(error)


@pytest.mark.parametrize(
    ("field", "value", "every", "said"),
    [
        ("kspace_encode_step_1", LINES, False, "expected lines 0 to 47"),
        ("kspace_encode_step_2", 3, False, "partitions up to 3"),
        ("active_channels", 2, False, "3 coils x 64 samples"),
        ("number_of_samples", 60, False, "3 coils x 60 samples"),
        ("active_channels", 2, True, "noise readouts of 3 coils beside imaging lines of 2"),
        ("number_of_samples", 80, True, "a readout of 80 samples"),
        ("center_sample", 60, True, "k-space centre at 60"),
        ("discard_pre", 64, True, "a readout of 64 samples"),
        ("flags", flag_bit(ismrmrd.ACQ_IS_NAVIGATION_DATA), True, "no imaging line"),
        ("encoding_space_ref", 1, True, "no imaging line"),
    ],
)
def test_readouts_that_contradict_the_header_are_refused(
    scan: Scan, field: str, value: int, every: bool, said: str
) -> None:
    found = changed(scan, field, value, every)
    assert isinstance(found, str) and said in found


def test_readouts_that_are_not_ours_are_counted_as_passed_on(scan: Scan) -> None:
    found = changed(scan, "flags", flag_bit(ismrmrd.ACQ_IS_NAVIGATION_DATA))
    assert isinstance(found, Survey) and found.passed_on == 1


def test_a_noise_scan_of_other_coils_may_be_left_unused(scan: Scan) -> None:
    raw = scan()
    heads = raw.heads.copy()
    heads["active_channels"][~imaging(heads)] = 2
    assert "noise readouts of 2 coils" in refused(heads, plan_of(raw))
    assert survey(heads, plan_of(raw, prewhitening=False)).coils == COILS


def test_what_differs_from_the_header_is_said(scan: Scan) -> None:
    raw = scan(noise_scan=False)
    header = ismrmrd.xsd.CreateFromDocument(raw.xml)
    header.acquisitionSystemInformation.receiverChannels = 32
    header.encoding[0].encodingLimits.slice.maximum = 0
    header.encoding[0].parallelImaging = None
    said = " ".join(survey(raw.heads, build_plan(header, load_pipeline())).warnings)
    assert "32 receiver channels" in said and "1 slices" in said and "gives acceleration 1" in said


def test_readouts_far_shorter_than_the_matrix_are_said(scan: Scan) -> None:
    raw = scan()
    header = ismrmrd.xsd.CreateFromDocument(raw.xml)
    header.encoding[0].encodedSpace.matrixSize.x = 640
    assert "64 samples" in survey(raw.heads, build_plan(header, load_pipeline())).warnings[0]


def test_calibration_lines_alone_are_refused(scan: Scan) -> None:
    raw = scan(calibration="separate", pattern="regular", acceleration=3.0)
    heads = raw.heads.copy()
    heads["flags"][imaging(heads)] = flag_bit(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
    assert "calibration lines and no imaging line" in refused(heads, plan_of(raw))
