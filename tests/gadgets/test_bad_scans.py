"""Scans that contradict themselves, through the whole chain: an image that says what is wrong with it, or one clear error."""

from __future__ import annotations

from typing import Any

import ismrmrd
import numpy as np
import pytest
import simulated
from failing import plain
from small_scan import LINES_Y, SAMPLES_X, SmallScan, header, sampled_lines, whole_scan

from smug_recon.errors import DataError
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline

NOISE, LINES = 8, len(sampled_lines())


def readouts(slices: int = 2) -> list[ismrmrd.Acquisition]:
    return whole_scan(slices).readouts


def copy_of(readout: ismrmrd.Acquisition, factor: float = 1.0) -> ismrmrd.Acquisition:
    return ismrmrd.Acquisition(readout.getHead(), factor * readout.data)


class Through:
    """What a scan of two slices becomes: the images, their comments, the warnings of the report."""

    def __init__(self, model: Any, items: list[Any], **overrides: Any) -> None:
        self.images: list[ismrmrd.Image] = []
        settings = {"images.type": "float32", **overrides}
        pipeline = load_pipeline().with_overrides(settings)
        self.report = run(items, self.images.append, header(slices=2), pipeline, model)
        self.comments = [image.meta["ImageComments"] for image in self.images]

    def error(self, other: Through, index: int = 0) -> float:
        ours, theirs = self.images[index].data, other.images[index].data
        return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


@pytest.fixture
def whole(conventional_model: Any) -> Through:
    return Through(conventional_model, readouts())


@pytest.mark.parametrize("bad", [np.nan, np.inf, complex(0, -np.inf)])
def test_a_line_that_is_not_finite_is_left_out_and_said(
    conventional_model: Any, whole: Through, bad: complex
) -> None:
    items = readouts()
    items[NOISE + 3].data[1, 7] = bad
    found = Through(conventional_model, items)
    assert [image.slice for image in found.images] == [0, 1] and all(plain(image) for image in found.images)
    assert "WARNING: 1 line with samples that are NaN or infinite: left out" in found.comments[0]
    assert f"{LINES - 1} of {LINES_Y} lines" in found.comments[0]
    assert any("NaN or infinite" in text for text in found.report.warnings)
    assert 0 < found.error(whole) < 0.05 and "WARNING" not in found.comments[1]
    without = readouts()
    del without[NOISE + 3]
    assert np.array_equal(Through(conventional_model, without).images[0].data, found.images[0].data)


def test_of_repeats_the_finite_ones_count(conventional_model: Any, whole: Through) -> None:
    items = readouts()
    again = copy_of(items[NOISE + 3])
    again.idx.average = 1
    again.data[0, 0] = np.nan
    found = Through(conventional_model, [*items[: NOISE + 4], again, *items[NOISE + 4 :]])
    assert f"{LINES} of {LINES_Y} lines" in found.comments[0]
    assert "came again" not in found.comments[0]


def test_a_slice_without_a_finite_line_is_an_error(conventional_model: Any) -> None:
    items = readouts()
    for item in items[NOISE : NOISE + LINES]:
        item.data[0, 0] = np.nan
    with pytest.raises(DataError, match="NaN or infinite in every line of slice 0"):
        Through(conventional_model, items)


def test_noise_that_is_not_finite_is_left_out_and_said(conventional_model: Any, whole: Through) -> None:
    items = readouts()
    items[3].data[2, 5] = np.inf
    found = Through(conventional_model, items)
    assert found.report.warnings == ["1 noise readout with samples that are NaN or infinite: left out"]
    assert found.error(whole) < 0.2 and found.images[0].meta["SmugPrewhitened"] == "1"
    for item in items[:NOISE]:
        item.data[2, 5] = np.nan
    none = Through(conventional_model, items)
    assert "not prewhitened" in none.comments[0] and none.images[0].meta["SmugPrewhitened"] == "0"


def test_a_line_of_zeros_was_not_measured(conventional_model: Any, whole: Through) -> None:
    items = readouts()
    for place in (3, 9):
        items[NOISE + place].data[:] = 0
    found = Through(conventional_model, items)
    assert "WARNING: 2 lines of nothing but zeros: taken as not acquired" in found.comments[0]
    without = readouts()
    del without[NOISE + 9], without[NOISE + 3]
    expected = Through(conventional_model, without)
    assert np.array_equal(found.images[0].data, expected.images[0].data)


def test_a_scan_of_zeros_gives_empty_images_that_say_so(conventional_model: Any) -> None:
    items = readouts()
    for item in items:
        item.data[:] = 0
    found = Through(conventional_model, items)
    assert all("no signal" in text and "not prewhitened" in text for text in found.comments)
    assert not any(image.data.any() for image in found.images) and found.report.fallbacks == 0


@pytest.mark.parametrize(
    ("factor", "said"), [(1.0, "counters: averaged"), (50.0, "1 of them with other data")]
)
def test_lines_that_come_twice_are_averaged_and_said(
    conventional_model: Any, whole: Through, factor: float, said: str
) -> None:
    items = readouts()
    items.insert(NOISE + 4, copy_of(items[NOISE + 3], factor))
    found = Through(conventional_model, items)
    assert "WARNING: 1 line came again under the same counters" in found.comments[0]
    assert said in found.comments[0] and "WARNING" not in found.comments[1]
    assert found.error(whole) < 0.05 or factor > 1


def test_a_scan_that_ends_in_mid_slice_says_so_on_that_image(conventional_model: Any) -> None:
    found = Through(conventional_model, readouts()[: -LINES // 2])
    assert "WARNING: incomplete: 16 lines, other images of this scan have 32" in found.comments[1]
    assert "incomplete" not in found.comments[0]
    assert any("incomplete" in text for text in found.report.warnings)


def test_a_slice_that_misses_many_lines_is_found_by_those_that_follow(conventional_model: Any) -> None:
    items = readouts()
    del items[NOISE + 2 : NOISE + 8]
    found = Through(conventional_model, items)
    assert "incomplete: slice 0: 26 lines, other images of this scan have 32" in found.report.warnings
    assert "26 of 48 lines" in found.comments[0] and "incomplete" not in found.comments[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kspace_encode_step_1": 48}, "phase-encode line 48"),
        ({"kspace_encode_step_1": 65535}, "phase-encode line 65535"),
        ({"kspace_encode_step_2": 9}, "partition 9"),
        ({"center_sample": 5000}, "centre at 5000"),
        ({"discard_pre": 90, "discard_post": 90}, "90 to 5 valid"),
        ({"sample_time_us": 2.5}, "dwell times"),
        ({"data": (3, SAMPLES_X)}, "3 coils"),
        ({"data": (4, SAMPLES_X - 2)}, "94 samples"),
    ],
)
def test_lines_that_contradict_the_header_are_one_clear_error(
    conventional_model: Any, change: dict[str, Any], said: str
) -> None:
    items = readouts()
    target = items[NOISE + 12]
    for name, value in change.items():
        if name == "data":
            other = ismrmrd.Acquisition.from_array(np.ones(value, np.complex64))
            other.idx, other.scan_counter, other.sample_time_us = target.idx, target.scan_counter, 5.0
            items[NOISE + 12] = other
        else:
            setattr(target.idx if name.startswith("kspace") else target, name, value)
    with pytest.raises(DataError, match=said):
        Through(conventional_model, items)


@pytest.mark.parametrize("items", ["nothing", "noise"])
def test_a_scan_without_lines_gives_no_image_and_no_error(conventional_model: Any, items: str) -> None:
    """A host may send a noise measurement of its own; who asked for an image (replay, stream, serve) is told."""
    found = Through(conventional_model, readouts(0) if items == "noise" else [])
    assert found.images == [] and found.report.lines == 0


def test_lines_without_an_image_are_an_error(conventional_model: Any) -> None:
    """Calibration lines alone, say: a host that gets nothing is told why."""
    made = SmallScan()
    made.add_slice(centre_flag=ismrmrd.ACQ_IS_PARALLEL_CALIBRATION, lines=list(range(18, 30)))
    pipeline = load_pipeline()
    sent: list[Any] = []
    with pytest.raises(DataError, match="no image from 12 lines"):
        run(made.readouts, sent.append, header(calibration="separate"), pipeline, conventional_model)
    assert not sent


def test_lines_that_are_not_finite_are_left_out_of_a_slab(conventional_model: Any) -> None:
    from simulated import SLAB

    raw = simulated.scan(**{**SLAB, "acceleration": 1.0, "calibration": "none"})

    def run_with(value: complex | None) -> Any:
        items, head = simulated.readouts_of(raw), simulated.header_of(raw)
        if value is not None:
            items[-7].data[0, 3] = value
        return simulated.reconstructed(items, head, conventional_model)

    found, whole = run_with(np.nan), run_with(None)
    assert len(found.images) == 8 and all(
        "NaN or infinite: left out" in i.meta["ImageComments"] for i in found.images
    )
    ours, theirs = (np.stack([i.data for i in result.images]) for result in (found, whole))
    assert np.isfinite(ours).all() and 0 < np.linalg.norm(ours - theirs) < 0.1 * np.linalg.norm(theirs)
