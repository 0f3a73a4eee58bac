"""Laws of the calibration region."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from smug_recon.calibration import calibration_block, calibration_lines
from smug_recon.errors import DataError
from smug_recon.physics import fft_centred, ifft_centred


@st.composite
def scans(draw: st.DrawFn) -> tuple[torch.Tensor, int, int, int]:
    """Draw a mask with a sampled block, anything outside of it, and a centre in the block."""
    lines = draw(st.integers(16, 120))
    start = draw(st.integers(0, lines - 8))
    stop = draw(st.integers(start + 8, lines))
    mask = torch.tensor(draw(st.lists(st.booleans(), min_size=lines, max_size=lines)))
    mask[start:stop] = True
    return mask, start, stop, draw(st.integers(start, stop - 1))


@given(scans())
@settings(max_examples=60, deadline=None)
def test_the_block_is_sampled_holds_the_centre_and_cannot_grow(
    scan: tuple[torch.Tensor, int, int, int],
) -> None:
    mask, _, _, centre = scan
    start, stop = calibration_lines(mask, centre_y=centre)
    assert start <= centre < stop
    assert bool(mask[start:stop].all())
    assert start == 0 or not mask[start - 1]
    assert stop == len(mask) or not mask[stop]


@given(scans(), st.integers(8, 40))
@settings(max_examples=60, deadline=None)
def test_at_most_the_wanted_lines_are_kept_as_central_as_they_can_be(
    scan: tuple[torch.Tensor, int, int, int], wanted: int
) -> None:
    mask, _, _, centre = scan
    start, stop = calibration_lines(mask, centre_y=centre)
    first, last = calibration_lines(mask, centre_y=centre, maximum=wanted)
    assert start <= first <= centre < last <= stop
    assert last - first == min(wanted, stop - start)
    if first > start and last < stop:
        assert first + (last - first) // 2 == centre


@given(scans(), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_flags_drop_imaging_lines_that_touch_the_block(
    scan: tuple[torch.Tensor, int, int, int], extra: int
) -> None:
    mask, start, stop, centre = scan
    assume(extra <= start and stop + extra <= len(mask))
    flagged = torch.zeros_like(mask)
    flagged[start:stop] = True
    mask[start - extra : stop + extra] = True
    assert calibration_lines(mask, flagged, centre) == (start, stop)


@given(scans(), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_no_flags_can_make_the_block_leave_the_sampled_lines(
    scan: tuple[torch.Tensor, int, int, int], seed: int
) -> None:
    mask, _, _, centre = scan
    flagged = torch.rand(len(mask), generator=torch.Generator().manual_seed(seed)) < 0.5
    start, stop = calibration_lines(mask, flagged, centre)
    whole_start, whole_stop = calibration_lines(mask, centre_y=centre)
    assert whole_start <= start <= centre < stop <= whole_stop
    assert stop - start >= 8


def test_lines_that_serve_both_purposes_may_lack_the_flag() -> None:
    mask = torch.zeros(64, dtype=torch.bool)
    mask[::4] = True
    mask[20:44] = True
    flagged = torch.zeros_like(mask)
    flagged[20:44] = True
    flagged[::4] = False
    assert calibration_lines(mask, flagged, 32) == (21, 44)


def test_a_scan_without_a_block_is_refused() -> None:
    mask = torch.zeros(64, dtype=torch.bool)
    mask[::2] = True
    with pytest.raises(DataError, match="found 1 contiguous lines around the k-space centre"):
        calibration_lines(mask)
    with pytest.raises(DataError, match="no sampled line at the k-space centre"):
        calibration_lines(mask, centre_y=33)
    with pytest.raises(DataError, match="line 64 of 64"):
        calibration_lines(mask, centre_y=64)


@given(st.integers(8, 40), st.integers(8, 50), st.integers(4, 60))
@settings(max_examples=30, deadline=None)
def test_the_block_is_the_centre_of_k_space(rows: int, columns: int, width: int) -> None:
    generator = torch.Generator().manual_seed(rows * columns)
    hybrid = torch.randn(3, rows, columns, dtype=torch.complex64, generator=generator)
    kspace = fft_centred(hybrid, [-1])
    kept = min(width, columns)
    left = columns // 2 - kept // 2
    block = calibration_block(hybrid, (2, 7), width)
    torch.testing.assert_close(block, kspace[:, 2:7, left : left + kept], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ifft_centred(kspace, [-1]), hybrid, rtol=1e-4, atol=1e-5)
