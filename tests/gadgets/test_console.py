"""What open low-field consoles write: no flags, or flags on every line; no counters, no times, bare headers."""

from __future__ import annotations

import itertools
from typing import Any

import ismrmrd
import numpy as np
import pytest
from simulated import header_of, parts_of, reconstructed, scan

from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.survey.heads import survey
from smug_recon.pipeline import load_pipeline


def bare(raw: Any) -> Any:
    """A header with matrix, field of view and the centre of the phase encoding, and nothing else."""
    header = header_of(raw)
    header.acquisitionSystemInformation = header.sequenceParameters = None
    header.measurementInformation = header.subjectInformation = header.studyInformation = None
    encoding = header.encoding[0]
    encoding.parallelImaging = None
    step = encoding.encodingLimits.kspace_encoding_step_1
    encoding.encodingLimits = ismrmrd.xsd.encodingLimitsType(kspace_encoding_step_1=step)
    return header


def stripped(readouts: list[ismrmrd.Acquisition]) -> list[ismrmrd.Acquisition]:
    """The same lines with samples and encoding steps only."""
    made = []
    for readout in readouts:
        plain = ismrmrd.Acquisition.from_array(readout.data.copy())
        plain.idx.kspace_encode_step_1 = readout.idx.kspace_encode_step_1
        plain.idx.kspace_encode_step_2 = readout.idx.kspace_encode_step_2
        plain.idx.slice = readout.idx.slice
        plain.center_sample = 0
        made.append(plain)
    return made


CASES = {
    "fully sampled, one coil": {"acceleration": 1.0, "coils": 1},
    "fully sampled": {"acceleration": 1.0},
    "random, one coil": {"pattern": "random", "coils": 1, "acceleration": 1.6},
    "random": {"pattern": "random"},
    "regular": {},
}


@pytest.mark.parametrize("case", CASES)
def test_without_flags_counters_and_times_the_image_is_the_same(case: str, conventional_model: Any) -> None:
    raw = scan(calibration="unflagged", noise_scan=False, snr=60.0, slices=2, **CASES[case])
    _, imaging = parts_of(raw)
    full = reconstructed(imaging, header_of(raw), conventional_model)
    found = reconstructed(stripped(imaging), bare(raw), conventional_model)
    assert len(found.images) == len(full.images) == 2
    assert found.report.fallbacks == 0
    for one, two in zip(found.images, full.images, strict=True):
        np.testing.assert_allclose(one.data, two.data, rtol=2e-3, atol=1e-3 * float(two.data.max()))
    limit = {"fully sampled, one coil": 0.05, "fully sampled": 0.05, "random, one coil": 0.35}.get(case, 0.2)
    assert found.nrmse(raw.truth.image_syx) < limit


def test_the_lines_of_density_are_found_beside_a_flag_of_the_embedded_ones() -> None:
    flagged, plain = (scan(calibration=kind, slices=2) for kind in ("embedded", "unflagged"))
    pipeline = load_pipeline()
    counted = [
        survey(raw.heads, build_plan(header_of(raw), pipeline)).calibration for raw in (flagged, plain)
    ]
    assert counted[0] == (16, 16)
    assert counted[1][0] >= 16


@pytest.mark.parametrize("counters", ["from 0", "from 5"])
@pytest.mark.parametrize("flags", ["every line", "last slice", "last repetition"])
def test_last_flags_on_every_line_end_nothing(flags: str, counters: str, conventional_model: Any) -> None:
    raw = scan(slices=2, snr=60.0, interleaved=False, calibration="unflagged")
    noise, imaging = parts_of(raw)
    expected = reconstructed([*noise, *imaging], header_of(raw), conventional_model)
    noise, imaging = parts_of(raw)
    for counter, readout in zip(itertools.count(5 if counters == "from 5" else 0), imaging, strict=False):
        readout.scan_counter = counter
        readout.clearAllFlags()
        if flags == "last repetition":
            readout.setFlag(ismrmrd.ACQ_LAST_IN_REPETITION)
        elif flags == "every line" or readout.idx.slice == 1:
            readout.setFlag(ismrmrd.ACQ_FIRST_IN_SLICE)
            readout.setFlag(ismrmrd.ACQ_LAST_IN_SLICE)
    found = reconstructed([*noise, *imaging], header_of(raw), conventional_model)
    assert any("LAST flags end a slice" in text for text in found.report.warnings)
    for one, two in zip(found.images, expected.images, strict=True):
        np.testing.assert_allclose(one.data, two.data, rtol=1e-3, atol=1e-3 * float(two.data.max()))


def test_a_three_dimensional_scan_without_flags_or_with_flags_everywhere(conventional_model: Any) -> None:
    raw = scan(
        matrix_xy=(32, 28),
        matrix_z=8,
        coils=1,
        acceleration=1.0,
        calibration="unflagged",
        noise_scan=False,
        snr=40.0,
    )
    _, imaging = parts_of(raw)
    found = reconstructed(stripped(imaging), bare(raw), conventional_model)
    assert len(found.images) == 8 and found.report.fallbacks == 0
    assert found.nrmse(raw.truth.image_syx) < 0.06
    flagged = stripped(imaging)
    for counter, readout in enumerate(flagged):
        readout.scan_counter = counter
        readout.setFlag(ismrmrd.ACQ_LAST_IN_SLICE)
        readout.setFlag(ismrmrd.ACQ_LAST_IN_REPETITION)
    again = reconstructed(flagged, bare(raw), conventional_model)
    assert any("LAST flags end a slice" in text for text in again.report.warnings)
    for one, two in zip(again.images, found.images, strict=True):
        np.testing.assert_array_equal(one.data, two.data)
