"""Laws of single stages over drawn inputs: order of arrival, whitening, readout transform, scaling, geometry."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import ismrmrd
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_scan import COILS, LINES_Y, READOUT_X, SAMPLES_X, SmallScan, header

from smug_recon.calibration.noise import whitening_matrix
from smug_recon.gadgets.flow.items import Reconstruction, SliceKey
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.images.dress import dress
from smug_recon.gadgets.images.matrix import crop_or_pad
from smug_recon.gadgets.images.scale import scale
from smug_recon.gadgets.model.file import Model, read_card
from smug_recon.gadgets.readouts.arrival import Arrival
from smug_recon.gadgets.readouts.complete_lines import assemble_slices
from smug_recon.gadgets.readouts.gather import gather
from smug_recon.gadgets.readouts.oversampling import hybrid_line, remove_oversampling
from smug_recon.gadgets.readouts.slice_end import SliceEnd
from smug_recon.pipeline import load_pipeline

FEW = settings(max_examples=15, deadline=None, derandomize=True)
NUMBERS = st.integers(0, 2**32 - 1)


def slices_of(readouts: list[Any], slices: int, averages: int) -> list[Any]:
    head, report, arrival = header(slices=slices, averages=averages), Report(), Arrival()
    plan = build_plan(head, load_pipeline())
    stream = remove_oversampling(arrival.watch(readouts), plan, report)
    return list(assemble_slices(gather(stream, plan, arrival, SliceEnd.of(head, plan), report), plan, report))


@cache
def scan_of(slices: int, averages: int, last: bool) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    scan = SmallScan()
    for index in range(slices):
        for average in range(averages):
            scan.add_slice(index, last=last, average=average)
    return tuple(scan.readouts), tuple(slices_of(list(scan.readouts), slices, averages))


@FEW
@given(slices=st.integers(1, 2), averages=st.integers(1, 2), last=st.booleans(), seed=NUMBERS)
def test_any_order_of_the_lines_gives_the_same_slices(slices, averages, last, seed):
    readouts, expected = scan_of(slices, averages, last)
    order = np.random.default_rng(seed).permutation(len(readouts))
    found = slices_of([readouts[number] for number in order], slices, averages)
    assert [one.key for one in found] == [one.key for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.kspace_cyx, other.kspace_cyx) and torch.equal(one.mask_y, other.mask_y)
        assert torch.equal(one.flagged_y, other.flagged_y) and one.lines == other.lines


@FEW
@given(slices=st.integers(1, 2), seed=NUMBERS, foreign=st.integers(0, 5))
def test_foreign_items_pass_and_change_nothing(slices, seed, foreign):
    readouts, expected = scan_of(slices, 1, True)
    draw, items = np.random.default_rng(seed), list(readouts)
    for number in range(foreign):
        items.insert(int(draw.integers(len(items) + 1)), f"item {number}")
    found = slices_of(items, slices, 1)
    assert sorted(one for one in found if isinstance(one, str)) == [f"item {n}" for n in range(foreign)]
    kept = [one for one in found if not isinstance(one, str)]
    assert all(torch.equal(a.kspace_cyx, b.kspace_cyx) for a, b in zip(kept, expected, strict=True))


@FEW
@given(coils=st.integers(1, 8), exponent=st.floats(-9, 6), seed=NUMBERS)
def test_whitened_noise_has_unit_covariance_whatever_the_coils_and_units(coils, exponent, seed):
    draw = np.random.default_rng(seed)
    root = (
        draw.standard_normal((coils, coils)) + 1j * draw.standard_normal((coils, coils)) + 3 * np.eye(coils)
    )
    covariance_cc = torch.from_numpy(root @ root.conj().T * 10.0**exponent).to(torch.complex128)
    matrix_cc = whitening_matrix(covariance_cc).to(torch.complex128)
    assert torch.allclose(
        matrix_cc @ covariance_cc @ matrix_cc.mH, torch.eye(coils, dtype=torch.complex128), atol=1e-4
    )


def hybrid(data_cx: np.ndarray) -> torch.Tensor:
    return hybrid_line(SmallScan().add(data_cx), SAMPLES_X, READOUT_X, Report())


@FEW
@given(
    seed=NUMBERS, factor=st.complex_numbers(max_magnitude=1e3, allow_nan=False), shift=st.integers(-20, 20)
)
def test_removing_oversampling_is_linear_keeps_energy_inside_and_drops_what_lies_outside(seed, factor, shift):
    draw = np.random.default_rng(seed)
    one, two = (SmallScan(draw).noise(SAMPLES_X) for _ in range(2))
    together, apart = hybrid(one + factor * two), hybrid(one) + factor * hybrid(two)
    assert torch.allclose(together, apart, rtol=1e-3, atol=1e-3 * (1 + abs(factor)))
    place = np.zeros(
        (COILS, SAMPLES_X), np.complex64
    )  # a point at a distance from the middle, in image space
    place[:, SAMPLES_X // 2 + shift] = 1.0
    line = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(place, axes=1), axis=1, norm="ortho"), axes=1)
    found = hybrid(line.astype(np.complex64)).abs()
    expected = torch.zeros(COILS, READOUT_X)
    expected[:, READOUT_X // 2 + shift] = 1.0
    assert torch.allclose(found, expected, atol=1e-4)
    place = np.roll(place, SAMPLES_X // 2, axis=1)  # outside of the field of view
    line = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(place, axes=1), axis=1, norm="ortho"), axes=1)
    assert float(hybrid(line.astype(np.complex64)).abs().max()) < 1e-4


def reconstruction(image_yx: torch.Tensor, head: Any = None, slice_index: int = 0) -> Reconstruction:
    return Reconstruction(SliceKey(slice_index, 0, 0, 0, 0), head, "SMUG", image_yx, 4, 10, 10, True)


@FEW
@given(
    exponent=st.floats(-12, 12), ratios=st.lists(st.floats(0.01, 1.9), min_size=1, max_size=4), seed=NUMBERS
)
def test_one_factor_holds_for_a_series_and_pixels_times_it_are_the_image(exponent, ratios, seed):
    draw = np.random.default_rng(seed)
    first = torch.from_numpy(draw.uniform(0.1, 1.0, (32, 24)) * 10.0**exponent).to(torch.complex64)
    plan = build_plan(header(), load_pipeline())
    found = list(scale([reconstruction(first * ratio) for ratio in (1.0, *ratios)], plan, Report()))
    factors = {one.scale for one in found}
    assert len(factors) == 1 and all(math.isfinite(factor) and factor > 0 for factor in factors)
    for one, ratio in zip(found, (1.0, *ratios), strict=True):
        exact = (first * ratio).abs().numpy().astype(np.float64) * one.scale
        assert one.pixels_yx.dtype == np.uint16 and one.saturated == 0
        assert np.abs(one.pixels_yx - exact).max() <= 0.5 + 1e-3 * exact.max() / 1000


@FEW
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    wanted=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_cropping_and_padding_keep_the_centre_voxel(rows, columns, wanted):
    image_yx = torch.zeros(rows, columns)
    image_yx[rows // 2, columns // 2] = 1.0
    found = crop_or_pad(crop_or_pad(image_yx, wanted[0], 0), wanted[1], 1)
    assert tuple(found.shape) == wanted
    assert float(found[wanted[0] // 2, wanted[1] // 2]) == 1.0 and float(found.sum()) == 1.0


class Card:
    """Enough of a model for the header of an image."""

    def __init__(self) -> None:
        self.card, self.sha256, self.device = (
            read_card(load_pipeline().model_path),
            "0" * 64,
            torch.device("cpu"),
        )


@FEW
@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    position=st.tuples(*[st.floats(-300, 300)] * 3),
    slice_index=st.integers(0, 2),
)
def test_geometry_goes_through_unchanged_for_any_orientation(angles, position, slice_index):
    axes = rotation(*angles).astype(np.float32)
    head = ismrmrd.AcquisitionHeader()
    head.read_dir, head.phase_dir, head.slice_dir = (tuple(map(float, axis)) for axis in axes)
    head.position = position
    item = reconstruction(torch.zeros(LINES_Y, READOUT_X), head, slice_index)
    item.pixels_yx, item.scale = np.zeros((LINES_Y, READOUT_X), np.uint16), 1.0
    model: Model = Card()  # type: ignore[assignment]
    (image,) = dress([item], build_plan(header(slices=3), load_pipeline()), model, "")
    out = image.getHead()
    for name in ("position", "read_dir", "phase_dir", "slice_dir"):
        assert np.array_equal(np.array(getattr(out, name)), np.array(getattr(head, name), np.float32)), name
    assert np.allclose([float(part) for part in image.meta["ImageRowDir"]], axes[0], atol=1e-6)
    assert np.allclose([float(part) for part in image.meta["ImageColumnDir"]], axes[1], atol=1e-6)
    assert out.slice == slice_index


def rotation(a: float, b: float, c: float) -> np.ndarray:
    """Three perpendicular unit vectors, the rows of a rotation about x, y and z."""
    (sa, ca), (sb, cb), (sc, cc) = ((math.sin(angle), math.cos(angle)) for angle in (a, b, c))
    about_x = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    about_y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_z = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
