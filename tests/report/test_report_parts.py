"""The parts of the report: pixels survive packing, channels and lines are drawn where they are, seconds are kept."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture

from smug_recon.report.findings import together
from smug_recon.report.pictures import correlation, mosaic, phase_colours, png, sampling, sequential
from smug_recon.report.stack import LARGEST_CODE, Turn, evenly, fitted, packed, slope_of, unpacked
from smug_recon.report.stages import SHADES, blocks, ticks, timeline


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_whole_numbers_survive_packing(rows: int, columns: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, LARGEST_CODE + 1, (rows, columns)).astype(np.float32)
    assert np.array_equal(unpacked(packed(values, 1.0), 1.0), values)


@given(st.floats(1e-6, 1e6))
def test_other_values_come_back_to_half_a_step(largest: float) -> None:
    values = np.linspace(0, largest, 100, dtype=np.float64).reshape(10, 10)
    slope = slope_of(float(values.max()))
    assert np.abs(unpacked(packed(values, slope), slope) - values).max() <= 0.501 * slope
    assert slope <= max(1.0, largest / 255)


def test_what_is_not_a_number_is_black() -> None:
    assert unpacked(packed(np.array([[np.nan, 5.0]]), 1.0), 1.0).tolist() == [[0.0, 5.0]]
    assert slope_of(float("nan")) == slope_of(0.0) == 1.0


def test_a_large_image_is_averaged_not_thinned() -> None:
    image = np.random.default_rng(0).random((40, 60))
    small = fitted(image, 20)
    assert small.shape == (13, 20) and small[0, 0] == pytest.approx(image[:3, :3].mean(), rel=1e-5)
    assert fitted(image, 60) is not None and fitted(image, 60).shape == (40, 60)


@given(st.integers(1, 3000), st.integers(1, 80))
def test_evenly_is_bounded_and_reaches_both_ends(count: int, wanted: int) -> None:
    found = evenly(count, wanted)
    assert len(found) == min(count, wanted) and found == sorted(set(found)) and found[0] == 0
    assert wanted == 1 or found[-1] == count - 1


def test_turns_are_those_of_the_previews() -> None:
    image = np.arange(6).reshape(2, 3)
    assert Turn(True, False, True)(image).tolist() == [[3, 0], [4, 1], [5, 2]]
    assert Turn(flip_rows=True)(np.stack([image, image])).tolist() == [[[3, 4, 5], [0, 1, 2]]] * 2


def test_correlation_is_one_on_the_diagonal_and_blind_to_gain() -> None:
    rng = np.random.default_rng(1)
    root = rng.standard_normal((4, 4)) + 1j * rng.standard_normal((4, 4))
    covariance = root @ root.conj().T
    gain = np.diag([1.0, 5.0, 0.1, 2.0])
    found = correlation(covariance)
    assert np.allclose(np.diag(found), 1) and (found <= 1 + 1e-9).all()
    assert np.allclose(correlation(gain @ covariance @ gain), found)
    dead = np.diag([1.0, 0, 1, 1]) @ covariance @ np.diag([1.0, 0, 1, 1])
    assert correlation(dead)[1].tolist() == [0, 0, 0, 0]


def test_pictures_show_what_they_are_told() -> None:
    marks = sampling(np.array([0, 1, 2], np.uint8))
    assert marks.shape == (3, 8, 3) and len({tuple(row[0]) for row in marks}) == 3
    assert sampling(np.zeros((4, 6), np.uint8)).shape == (4, 6, 3)
    brightness = sequential(np.linspace(0, 1, 50)).astype(float) @ [0.299, 0.587, 0.114]
    assert (np.diff(brightness) >= 0).all()
    with Picture.open(io.BytesIO(base64.b64decode(png(marks).split(",")[1]))) as picture:
        assert picture.size == (8, 3)
    sheet = mosaic(np.ones((5, 10, 8), np.complex64))
    assert sheet.shape == (22, 28, 3) and not sheet[12:, 20:].any()  # three columns, one tile empty


def test_the_hue_is_the_phase_and_the_brightness_the_magnitude() -> None:
    red, green = phase_colours(np.exp(2j * np.pi * np.array([0, 1 / 3])), 1.0)
    assert red.argmax() == 0 and green.argmax() == 1
    dim = phase_colours(np.array([0.1 + 0j]), 1.0)[0]
    assert dim.max() < red.max() and not phase_colours(np.zeros(1), 1.0).any()


def test_blocks_cover_what_was_busy() -> None:
    found = blocks([0, 1, 1, 0.5, 0, 0.001], 1.0)
    assert [(b.start, b.length) for b in found] == [(1, 2), (3, 1)]
    assert [b.shade for b in found] == [SHADES, 3]


def test_the_share_of_the_work_that_was_done_while_readouts_came() -> None:
    timing = {
        "stages": [{"name": "receive", "seconds": 2.0}, {"name": "network", "seconds": 4.0, "calls": 2}]
    }
    line = {
        "width_s": 1.0,
        "end_s": 6.0,
        "seconds": {"receive": [1, 1, 0, 0, 0, 0], "network": [0, 0, 1, 1, 1, 1]},
        "events": {"readouts": [5, 5, 5, 0, 0, 0], "images": [0, 0, 0, 1, 0, 1]},
    }
    found = timeline(timing, {"timeline": line})
    assert found.last_readout == 3 and found.last_readout_s == 3.0 and found.tail_s == 3.0
    assert found.early_percent == pytest.approx(25.0)  # waiting is no work
    assert [(row.name, row.idle, row.early_percent) for row in found.rows] == [
        ("waiting for readouts", True, 100.0),
        ("network", False, 25.0),
    ]
    assert timeline(timing, {}).last_readout is None and timeline({}, {}).rows == []


@given(st.floats(0.001, 5000))
def test_an_axis_has_a_few_round_times(end_s: float) -> None:
    found = ticks(end_s, end_s * 1.01)
    assert 2 <= len(found) <= 7 and found[0] == (0.0, "0 s") and found[-1][0] <= 100


def test_warnings_of_many_slices_are_one() -> None:
    said = ["odd of slice 3", "plain", "odd of slice 4", "lonely of slice 7", "of slice x"]
    assert together(said) == ["odd of 2 slices", "plain", "lonely of slice 7", "of slice x"]
