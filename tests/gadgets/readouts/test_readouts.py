"""Readouts of every kind against the truth: oversampled or not, reversed, with samples and lines to leave out."""

from __future__ import annotations

from typing import Any

import ismrmrd
import numpy as np
import pytest
from simulated import NOISE, header_of, readouts_of, reconstructed, scan

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import NOT_IMAGING
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.readouts.surface_coil import SAID
from smug_recon.gadgets.survey.heads import survey
from smug_recon.pipeline import load_pipeline

LIMIT = 0.08


def plain(**changes: Any) -> Any:
    return scan(snr=60.0, **changes)


@pytest.mark.parametrize("oversampling", [1, 2])
def test_readouts_with_and_without_oversampling(oversampling: int, conventional_model: Any) -> None:
    raw = plain(oversampling=oversampling)
    found = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
    assert found.images[0].data.shape == (1, 1, 64, 48)
    assert found.nrmse(raw.truth.whitened_syx) < LIMIT
    assert not found.report.warnings


def test_reversed_readouts_are_turned(conventional_model: Any) -> None:
    raw = plain(reversed_lines=True)
    assert (raw.heads["flags"] & np.uint64(1 << (ismrmrd.ACQ_IS_REVERSE - 1)) != 0).sum() > 10
    found = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
    assert found.nrmse(raw.truth.whitened_syx) < LIMIT


def test_samples_to_discard_do_not_reach_the_image(conventional_model: Any) -> None:
    raw = plain(discard=(6, 4))
    readouts = readouts_of(raw)
    found = reconstructed(readouts, header_of(raw), conventional_model)
    assert found.nrmse(raw.truth.whitened_syx) < LIMIT
    for readout in readouts:
        if not readout.flags & NOISE:
            readout.data[:, :6] = readout.data[:, -4:] = 1e5
    spoilt = reconstructed(readouts, header_of(raw), conventional_model)
    np.testing.assert_array_equal(found.images[0].data, spoilt.images[0].data)


@pytest.mark.parametrize("pass_on", ["all", "images"])
def test_lines_that_are_no_image_lines_are_passed_on_or_left_out(
    pass_on: str, conventional_model: Any
) -> None:
    kinds = ("dummy", "navigator", "phase-correction", "surface-coil", "feedback")
    raw = plain(extra_lines=kinds)
    found = reconstructed(readouts_of(raw), header_of(raw), conventional_model, pass_on=pass_on)
    alone = plain()
    expected = reconstructed(readouts_of(alone), header_of(alone), conventional_model)
    assert len(found.report.passed) >= 5
    count = sum(found.report.passed.values())
    assert len(found.others) == (count if pass_on == "all" else 0)
    assert found.report.left_out == ({} if pass_on == "all" else {"Acquisition": count})
    assert found.images[0].meta["SmugLines"] == expected.images[0].meta["SmugLines"]
    assert found.nrmse(raw.truth.whitened_syx) < LIMIT
    counted = survey(raw.heads, build_plan(header_of(raw), load_pipeline()))
    assert counted.passed_on == count


@pytest.mark.parametrize("flag", sorted(NOT_IMAGING))
def test_a_flagged_line_over_an_image_line_changes_nothing(flag: int, conventional_model: Any) -> None:
    raw = plain()
    readouts = readouts_of(raw)
    expected = reconstructed(readouts, header_of(raw), conventional_model)
    extra = readouts_of(raw)[-1]
    extra.data[:] = 1e4
    extra.scan_counter = 0
    extra.setFlag(flag.bit_length())
    found = reconstructed([extra, *readouts], header_of(raw), conventional_model)
    np.testing.assert_array_equal(found.images[0].data, expected.images[0].data)
    assert sum(found.report.passed.values()) == 1


@pytest.mark.parametrize("change", [-2, 2])
def test_a_varying_number_of_samples_is_refused(change: int, conventional_model: Any) -> None:
    raw = plain()
    readouts = readouts_of(raw)
    head = readouts[-5].getHead()
    head.number_of_samples += change
    wide = np.zeros((4, head.number_of_samples), np.complex64)
    readouts[-5] = ismrmrd.Acquisition(head, wide)
    with pytest.raises(DataError, match=f"{96 + change} samples"):
        reconstructed(readouts, header_of(raw), conventional_model)
    heads = raw.heads.copy()
    heads["number_of_samples"][-5] = 96 + change
    with pytest.raises(DataError, match=f"{96 + change} samples"):
        survey(heads, build_plan(header_of(raw), load_pipeline()))


def test_oversampling_removed_before_the_chain_gives_the_same_image(conventional_model: Any) -> None:
    raw = plain()
    readouts = readouts_of(raw)
    expected = reconstructed(readouts, header_of(raw), conventional_model)
    for number, readout in enumerate(readouts):
        if not readout.flags & NOISE:
            line = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(readout.data, axes=1), axis=1), axes=1)
            line = line[:, 24:72]
            half = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(line, axes=1), axis=1), axes=1) * np.sqrt(2.0)
            head = readout.getHead()
            head.number_of_samples, head.center_sample = 48, 0 if number % 2 else 24
            readouts[number] = ismrmrd.Acquisition(head, half.astype(np.complex64))
    found = reconstructed(readouts, header_of(raw), conventional_model)
    tolerance = 1e-4 * float(expected.images[0].data.max())
    np.testing.assert_allclose(found.images[0].data, expected.images[0].data, atol=tolerance)
    assert any("removed before" in text for text in found.report.warnings)


def test_only_lines_of_other_kinds_are_refused_with_their_kinds() -> None:
    raw = plain()
    heads = raw.heads.copy()
    heads["flags"] |= np.uint64(1 << (ismrmrd.ACQ_IS_PHASECORR_DATA - 1))
    with pytest.raises(DataError, match=r"no imaging line of encoding space 0 \(phase correction\)"):
        survey(heads, build_plan(header_of(raw), load_pipeline()))


def test_surface_coil_flags_on_every_line_are_raw_data_correction(conventional_model: Any) -> None:
    raw = plain(extra_lines=("navigator",))
    expected = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
    readouts, heads = readouts_of(raw), raw.heads.copy()
    for number, readout in enumerate(readouts):
        if not readout.flags & NOISE:
            readout.setFlag(ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA)
            heads["flags"][number] = readout.flags
    found = reconstructed(readouts, header_of(raw), conventional_model)
    np.testing.assert_array_equal(found.images[0].data, expected.images[0].data)
    assert SAID in found.report.warnings and found.report.passed == expected.report.passed
    counted = survey(heads, build_plan(header_of(raw), load_pipeline()))
    assert SAID in counted.warnings and counted.lines == (40, 40)


@pytest.mark.parametrize("centre", [True, False], ids=["centre given", "centre 0"])
def test_oversampling_that_the_header_does_not_declare_is_removed(
    centre: bool, conventional_model: Any
) -> None:
    raw = plain()
    expected = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
    header, readouts = header_of(raw), readouts_of(raw)
    space = header.encoding[0].encodedSpace
    space.matrixSize.x, space.fieldOfView_mm.x = 48, header.encoding[0].reconSpace.fieldOfView_mm.x
    for readout in readouts:
        readout.center_sample = readout.center_sample if centre or readout.flags & NOISE else 0
    found = reconstructed(readouts, header, conventional_model)
    np.testing.assert_array_equal(found.images[0].data, expected.images[0].data)
    assert any(
        "2 times oversampling that the header does not declare" in text for text in found.report.warnings
    )


def test_more_samples_that_are_no_oversampling_are_refused(conventional_model: Any) -> None:
    raw = plain(oversampling=1)
    header = header_of(raw)
    for space in (header.encoding[0].encodedSpace, header.encoding[0].reconSpace):
        space.matrixSize.x = 24  # half of the resolution that was measured
    with pytest.raises(DataError, match="beyond the field of view"):
        reconstructed(readouts_of(raw), header, conventional_model)


def test_all_of_this_at_once_as_in_a_clinical_scan(conventional_model: Any) -> None:
    kinds = ("phase-correction", "navigator", "surface-coil")
    raw = plain(
        asymmetric_echo=0.25,
        partial_fourier=0.75,
        reversed_lines=True,
        discard=(4, 6),
        extra_lines=kinds,
        slices=2,
    )
    found = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
    assert [image.slice for image in found.images] == [0, 1]
    assert "asymmetric echo" in found.comments and "partial Fourier" in found.comments
    assert found.nrmse(raw.truth.whitened_syx) < 0.16
