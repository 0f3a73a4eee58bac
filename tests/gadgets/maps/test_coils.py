"""Coil maps of a slice: from flags, from the sampling, from separate lines; a fallback that says so."""

from __future__ import annotations

import ismrmrd
import numpy as np
import pytest
import torch
from small_scan import COILS, LINES_Y, READOUT_X, SAMPLES_X, SmallScan, centred_fft, coil_images, header

from smug_recon.gadgets.flow.items import Slice, SliceKey
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.maps.coils import coil_maps
from smug_recon.pipeline import load_pipeline

CENTRE = LINES_Y // 2


def slice_of(
    rows: list[int], flagged: list[int] | None = None, coils: int = COILS, repetition: int = 0
) -> Slice:
    crop = slice(SAMPLES_X // 2 - READOUT_X // 2, SAMPLES_X // 2 + READOUT_X // 2)
    hybrid_cyx = torch.from_numpy(centred_fft(coil_images()[:coils, :, crop], (1,)).astype(np.complex64))
    mask_y, flagged_y = torch.zeros(LINES_Y, dtype=torch.bool), torch.zeros(LINES_Y, dtype=torch.bool)
    mask_y[rows] = True
    flagged_y[flagged or []] = True
    key, head = SliceKey(0, 0, 0, repetition, 0), ismrmrd.AcquisitionHeader()
    return Slice(key, head, hybrid_cyx * mask_y[:, None], mask_y, flagged_y, 5.0)


def with_maps(*slices: Slice, report: Report | None = None, repetitions: int = 1) -> list[Slice]:
    plan = build_plan(header(repetitions=repetitions), load_pipeline())
    return list(coil_maps(slices, plan, report or Report()))


def alignment_to_truth(found: Slice) -> float:
    """Return mean |<maps, coil images>| / |coil images| over the object: one for true maps."""
    assert found.maps_cyx is not None
    crop = slice(SAMPLES_X // 2 - READOUT_X // 2, SAMPLES_X // 2 + READOUT_X // 2)
    images_cyx = torch.from_numpy(coil_images()[:, :, crop])
    norm_yx = images_cyx.abs().square().sum(0).sqrt()
    inside = norm_yx > 0.3 * norm_yx.max()
    overlap_yx = (found.maps_cyx.conj() * images_cyx).sum(0).abs()
    return float((overlap_yx[inside] / norm_yx[inside]).mean())


@pytest.mark.parametrize(
    ("rows", "flagged"),
    [
        (list(range(LINES_Y)), []),
        (
            sorted({*range(0, LINES_Y, 2), *range(CENTRE - 8, CENTRE + 8)}),
            list(range(CENTRE - 8, CENTRE + 8)),
        ),
        (sorted({*range(0, LINES_Y, 3), *range(CENTRE - 8, CENTRE + 8)}), []),
    ],
    ids=["fully sampled", "flagged", "unflagged"],
)
def test_maps_fit_the_coil_images(rows: list[int], flagged: list[int]) -> None:
    (found,) = with_maps(slice_of(rows, flagged))
    assert found.maps_cyx is not None
    assert found.maps_cyx.shape == (COILS, LINES_Y, READOUT_X)
    assert found.maps_cyx.dtype == torch.complex64
    assert alignment_to_truth(found) > 0.99
    assert not found.notes


def test_separate_calibration_lines_make_the_maps() -> None:
    outer, centre = slice_of(list(range(0, LINES_Y, 4))), slice_of(list(range(CENTRE - 8, CENTRE + 8)))
    outer.calibration_cyx, outer.calibration_mask_y = centre.kspace_cyx, centre.mask_y
    (found,) = with_maps(outer)
    assert alignment_to_truth(found) > 0.99
    assert not found.notes


def test_too_few_lines_give_low_resolution_maps_and_it_is_said() -> None:
    report = Report()
    (found,) = with_maps(
        slice_of(sorted({*range(0, LINES_Y, 4), *range(CENTRE - 1, CENTRE + 2)})), report=report
    )
    assert any("low-resolution" in note for note in found.notes)
    assert any("low-resolution" in text for text in report.warnings)
    assert report.fallbacks == 1
    assert alignment_to_truth(found) > 0.9


@pytest.mark.parametrize("lines, least", [(4, 0.97), (6, 0.98), (8, 0.985), (12, 0.99)])
def test_few_calibration_lines_still_give_espirit_maps(lines: int, least: float) -> None:
    """The smaller kernel is said below 8 lines; it is no fallback."""
    report = Report()
    rows = sorted({*range(0, LINES_Y, 4), *range(CENTRE - lines // 2, CENTRE + lines // 2)})
    (found,) = with_maps(slice_of(rows), report=report)
    assert alignment_to_truth(found) > least
    assert any("few for coil maps" in note for note in found.notes) == (lines < 8)
    assert report.warnings == found.notes
    assert not report.fallbacks


def test_flags_of_few_lines_do_not_narrow_a_block_of_many() -> None:
    flagged = list(range(CENTRE - 2, CENTRE + 2))
    (plain,), (found,) = (
        with_maps(slice_of(list(range(LINES_Y)))),
        with_maps(slice_of(list(range(LINES_Y)), flagged)),
    )
    assert torch.equal(found.maps_cyx, plain.maps_cyx)


def test_a_repetition_without_calibration_takes_the_maps_before_it() -> None:
    first = slice_of(list(range(LINES_Y)))
    second = slice_of(list(range(0, LINES_Y, 4)), repetition=1)
    one, two = with_maps(first, second, repetitions=2)
    assert one.maps_cyx is two.maps_cyx
    assert two.notes == ["coil maps of an earlier repetition"]


def test_a_single_coil_sees_everything_with_weight_one() -> None:
    (found,) = with_maps(slice_of(list(range(LINES_Y)), coils=1))
    assert torch.equal(found.maps_cyx, torch.ones((1, LINES_Y, READOUT_X), dtype=torch.complex64))


def test_an_empty_slice_gives_finite_maps() -> None:
    for rows in (list(range(LINES_Y)), [0, 4, 8]):
        empty = slice_of(rows)
        empty.kspace_cyx = torch.zeros_like(empty.kspace_cyx)
        (found,) = with_maps(empty)
        assert found.maps_cyx is not None
        assert bool(torch.isfinite(torch.view_as_real(found.maps_cyx)).all())


def test_the_calibration_lines_are_let_go() -> None:
    outer, centre = slice_of(list(range(0, LINES_Y, 4))), slice_of(list(range(CENTRE - 8, CENTRE + 8)))
    outer.calibration_cyx, outer.calibration_mask_y = centre.kspace_cyx, centre.mask_y
    (found,) = with_maps(outer)
    assert found.calibration_cyx is None


def test_maps_from_a_scan_with_noise_are_as_good() -> None:
    scan = SmallScan()
    noise = torch.from_numpy(scan.noise(LINES_Y * READOUT_X).reshape(COILS, LINES_Y, READOUT_X))
    item = slice_of(list(range(LINES_Y)))
    item.kspace_cyx = item.kspace_cyx + 0.01 * noise.to(torch.complex64)
    (found,) = with_maps(item)
    assert alignment_to_truth(found) > 0.98
