"""Gathering: equal slices for any arrival order, each as early as is safe, nothing lost in silence."""

from __future__ import annotations

import gc
import itertools
import weakref
from typing import Any

import ismrmrd
import numpy as np
import pytest
import torch
from small_scan import LINES_Y, SAMPLES_X, SmallScan, header, sampled_lines

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import Slice
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.readouts.arrival import Arrival
from smug_recon.gadgets.readouts.assemble import one_sided
from smug_recon.gadgets.readouts.complete_lines import assemble_slices
from smug_recon.gadgets.readouts.gather import gather
from smug_recon.gadgets.readouts.oversampling import remove_oversampling
from smug_recon.gadgets.readouts.slice_end import SliceEnd
from smug_recon.pipeline import load_pipeline

FLAG_LAST = 1 << (ismrmrd.ACQ_LAST_IN_SLICE - 1)


def gathered(readouts: list[Any], report: Report | None = None, **options: Any) -> Any:
    head, report, arrival = header(**options), report or Report(), Arrival()
    plan = build_plan(head, load_pipeline())
    stream = remove_oversampling(arrival.watch(readouts), plan, report)
    return assemble_slices(gather(stream, plan, arrival, SliceEnd.of(head, plan), report), plan, report)


def released_after(readouts: list[Any], **options: Any) -> list[int]:
    """Return how many readouts had been read when each slice left."""
    read = 0

    def counted() -> Any:
        nonlocal read
        for item in readouts:
            read += 1
            yield item

    return [read for _ in gathered(counted(), **options)]


def three_slices(interleaved: bool = False, last: bool = True) -> list[ismrmrd.Acquisition]:
    scan = SmallScan()
    for index in range(3):
        scan.add_slice(index, last=last)
    if interleaved:
        count = len(sampled_lines())
        order = [s * count + n for n in range(count) for s in range(3)]
        scan.readouts = [scan.readouts[n] for n in order]
        for counter, readout in enumerate(scan.readouts):
            readout.scan_counter = counter
    return scan.readouts


def same(one: Slice, two: Slice) -> bool:
    return (
        one.key == two.key
        and torch.equal(one.kspace_cyx, two.kspace_cyx)
        and torch.equal(one.mask_y, two.mask_y)
    )


@pytest.mark.parametrize(
    ("interleaved", "last"), [(False, False), (False, True), (True, False), (True, True)]
)
@pytest.mark.parametrize("counters", ["from 0", "from 1", "with gaps", "none"])
def test_any_arrival_order_gives_the_same_slices_in_the_same_order(
    interleaved: bool, last: bool, counters: str
) -> None:
    readouts = three_slices(interleaved, last)
    for readout in readouts:
        step, offset = {"from 0": (1, 0), "from 1": (1, 1), "with gaps": (3, 5), "none": (0, 0)}[counters]
        readout.scan_counter = readout.scan_counter * step + offset
    reference = list(gathered(readouts, slices=3))
    assert [found.key.slice for found in reference] == [0, 1, 2]
    rng = np.random.default_rng(3)
    for _ in range(4):
        shuffled = list(gathered([readouts[n] for n in rng.permutation(len(readouts))], slices=3))
        assert all(same(a, b) for a, b in zip(reference, shuffled, strict=True))


def test_flagged_slices_leave_at_once_when_in_order() -> None:
    count = len(sampled_lines())
    assert released_after(three_slices(), slices=3) == [count, 2 * count, 3 * count]


def test_in_order_with_gaps_in_the_counters_is_trusted_too() -> None:
    readouts = three_slices()
    for readout in readouts:
        readout.scan_counter = 10 + 2 * readout.scan_counter
    count = len(sampled_lines())
    assert released_after(readouts, slices=3) == [count, 2 * count, 3 * count]


def test_a_flag_that_overtakes_its_slice_waits_for_the_missing_lines() -> None:
    readouts = three_slices()
    count = len(sampled_lines())
    readouts.insert(2, readouts.pop(count - 1))
    assert released_after(readouts, slices=3) == [count, 2 * count, 3 * count]


def test_without_flags_slices_leave_when_the_next_repetition_begins() -> None:
    scan = SmallScan()
    for repetition, index in itertools.product(range(2), range(2)):
        scan.add_slice(index, last=False, repetition=repetition)
    count = len(sampled_lines())
    assert released_after(scan.readouts, slices=2, repetitions=2) == [
        2 * count + 1,
        3 * count + 1,
        4 * count,
        4 * count,
    ]


def test_a_fully_sampled_slice_leaves_with_its_last_line() -> None:
    scan = SmallScan()
    for index in range(2):
        scan.add_slice(index, lines=list(range(LINES_Y)), last=False)
    assert released_after(scan.readouts, slices=2, acceleration=1, calibration=None) == [LINES_Y, 2 * LINES_Y]


def test_averages_are_averaged_and_the_flag_of_the_first_is_not_the_end() -> None:
    scan = SmallScan()
    for average in range(3):
        scan.add_slice(noise_level=0.1, average=average)
    slices = list(gathered(scan.readouts, averages=3))
    assert len(slices) == 1
    assert slices[0].lines == 3 * len(sampled_lines())
    rng = np.random.default_rng(1)
    shuffled = list(gathered([scan.readouts[n] for n in rng.permutation(len(scan.readouts))], averages=3))
    assert same(slices[0], shuffled[0])
    single = next(gathered(scan.readouts[:: len(sampled_lines())], averages=3))
    row = int(torch.nonzero(single.mask_y)[0])
    assert torch.equal(single.kspace_cyx[:, row], slices[0].kspace_cyx[:, row])


def test_the_header_of_a_slice_is_that_of_its_centre_line() -> None:
    found = next(gathered(three_slices(), slices=3))
    assert found.head.idx.kspace_encode_step_1 == LINES_Y // 2


def test_a_line_after_its_slice_is_an_error_that_names_both() -> None:
    readouts = three_slices()
    late = readouts.pop(3)
    late.scan_counter = 10_000
    with pytest.raises(DataError, match=r"line \d+ of slice 0"):
        list(gathered([*readouts, late], slices=3))


def test_separate_calibration_lines_serve_the_maps_only() -> None:
    scan = SmallScan()
    centre = list(range(LINES_Y // 2 - 8, LINES_Y // 2 + 8))
    scan.add_slice(lines=centre, last=False, centre_flag=ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
    outer = list(range(0, LINES_Y, 2))
    scan.add_slice(lines=outer, centre_flag=ismrmrd.ACQ_USER1)
    (found,) = gathered(scan.readouts, calibration="separate")
    assert int(found.mask_y.sum()) == len(outer)
    assert found.calibration_mask_y is not None
    assert torch.nonzero(found.calibration_mask_y).flatten().tolist() == centre


def test_embedded_calibration_lines_serve_maps_and_image() -> None:
    scan = SmallScan()
    between = list(range(LINES_Y // 2 - 7, LINES_Y // 2 + 8, 2))
    scan.add_slice(lines=between, last=False, centre_flag=ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
    outer = list(range(0, LINES_Y, 2))
    scan.add_slice(lines=outer)
    (found,) = gathered(scan.readouts, calibration="embedded")
    assert torch.nonzero(found.mask_y).flatten().tolist() == sorted([*outer, *between])
    assert found.calibration_cyx is None
    assert int(found.flagged_y.sum()) == 16


def test_a_reference_scan_that_the_header_calls_embedded_is_not_mixed_into_the_image() -> None:
    scan = SmallScan()
    centre = list(range(LINES_Y // 2 - 8, LINES_Y // 2 + 8))
    scan.add_slice(lines=centre, centre_flag=ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)  # ends with LAST_IN_SLICE
    for readout in scan.readouts:
        readout.data[:] *= 3
    outer = list(range(0, LINES_Y, 2))
    scan.add_slice(lines=outer, centre_flag=ismrmrd.ACQ_USER1)
    (found,) = gathered(scan.readouts, calibration="embedded")
    assert torch.nonzero(found.mask_y).flatten().tolist() == outer
    assert torch.nonzero(found.calibration_mask_y).flatten().tolist() == centre
    row = LINES_Y // 2
    ratio = found.calibration_cyx[:, row].norm() / found.kspace_cyx[:, row].norm()
    assert float(ratio) == pytest.approx(3, rel=0.01)


def test_separate_calibration_lines_are_waited_for() -> None:
    scan = SmallScan()
    scan.add_slice(lines=list(range(0, LINES_Y, 2)), centre_flag=ismrmrd.ACQ_USER1)
    centre = list(range(LINES_Y // 2 - 8, LINES_Y // 2 + 8))
    scan.add_slice(lines=centre, last=False, centre_flag=ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
    (found,) = gathered(scan.readouts, calibration="separate")
    assert found.calibration_mask_y is not None
    assert int(found.calibration_mask_y.sum()) == len(centre)


def test_partial_fourier_is_found() -> None:
    scan = SmallScan()
    scan.add_slice(lines=list(range(16, LINES_Y)))
    (found,) = gathered(scan.readouts)
    assert found.partial_y == (16, LINES_Y - 1)
    assert next(gathered(three_slices(), slices=3)).partial_y is None


@pytest.mark.parametrize(
    ("coils", "samples", "fields", "text"),
    [
        (3, SAMPLES_X, {}, "3 coils"),
        (4, SAMPLES_X - 2, {}, "94 samples"),
        (4, SAMPLES_X, {"kspace_encode_step_1": LINES_Y}, "line 48"),
        (4, SAMPLES_X, {"kspace_encode_step_2": 1}, "partition 1"),
    ],
)
def test_lines_that_contradict_the_scan_are_errors(
    coils: int, samples: int, fields: dict[str, int], text: str
) -> None:
    scan = SmallScan()
    scan.add_slice(last=False)
    scan.add(scan.noise(samples, coils), **fields)
    with pytest.raises(DataError, match=text):
        list(gathered(scan.readouts))


def test_a_line_with_samples_that_are_not_finite_is_left_out() -> None:
    scan = SmallScan()
    scan.add_slice()
    scan.readouts[4].data[1, 5] = np.nan
    row = scan.readouts[4].idx.kspace_encode_step_1
    (found,) = gathered(scan.readouts)
    assert not found.mask_y[row] and not bool(found.kspace_cyx[:, row].any())
    assert int(found.mask_y.sum()) == len(scan.readouts) - 1 and "NaN" in found.notes[0]


def test_foreign_items_pass_in_order_and_lines_are_let_go() -> None:
    readouts: list[Any] = list(three_slices())
    readouts.insert(5, "first")
    readouts.insert(9, "second")
    stream = gathered(readouts, slices=3)
    assert [next(stream), next(stream)] == ["first", "second"]
    held = weakref.ref(next(stream))
    next(stream)
    gc.collect()
    assert held() is None


def test_variable_density_sampling_is_not_taken_for_partial_fourier() -> None:
    mask_y = torch.zeros(240)
    mask_y[108:132] = 1
    mask_y[[40, 60, 75, 90, 95, 100, 104, 106, 134, 137, 141, 150, 163, 171]] = 1
    assert one_sided(mask_y) is None
    mask_y[torch.arange(0, 100, 3)] = 1
    assert one_sided(mask_y) == (0, 171)
