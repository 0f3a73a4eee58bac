"""Asymmetric echoes: in their place, filled by phase constraint closer to the truth, and said on the image."""

from __future__ import annotations

from typing import Any

import ismrmrd
import numpy as np
import pytest
import torch
from simulated import NOISE, header_of, readouts_of, reconstructed, scan

from smug_recon.gadgets.images import echo
from smug_recon.gadgets.images.echo import fill_side, symmetric
from smug_recon.physics import fft_centred, ifft_centred


def cut(readouts: list[ismrmrd.Acquisition], share: float, side: str = "before") -> list[Any]:
    """Leave out a share of the samples of every imaging readout at one end."""
    made = []
    for readout in readouts:
        if not readout.flags & NOISE:
            head, data_cx = readout.getHead(), readout.data
            left_out = round(share * data_cx.shape[1])
            head.number_of_samples = data_cx.shape[1] - left_out
            if side == "before":
                head.center_sample -= left_out
                data_cx = data_cx[:, left_out:]
            else:
                data_cx = data_cx[:, :-left_out]
            readout = ismrmrd.Acquisition(head, np.ascontiguousarray(data_cx))
        made.append(readout)
    return made


def reversed_in_time(readouts: list[ismrmrd.Acquisition]) -> list[ismrmrd.Acquisition]:
    for readout in readouts:
        if not readout.flags & NOISE:
            readout.data[:] = readout.data[:, ::-1].copy()
            readout.center_sample = int(readout.number_of_samples) - 1 - int(readout.center_sample)
            readout.setFlag(ismrmrd.ACQ_IS_REVERSE)
    return readouts


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_filled_echo_is_closer_to_the_truth_than_zeros(
    side: str, conventional_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = scan(snr=60.0)
    found = reconstructed(cut(readouts_of(raw), 0.25, side), header_of(raw), conventional_model)
    assert "asymmetric echo: 25 % of the readout not acquired, filled" in found.comments
    monkeypatch.setattr(echo, "fill_side", lambda image_yx, *_: image_yx)
    zeros = reconstructed(cut(readouts_of(raw), 0.25, side), header_of(raw), conventional_model)
    whole = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
    truth = raw.truth.whitened_syx
    assert found.nrmse(truth) < 0.93 * zeros.nrmse(truth)
    assert whole.nrmse(truth) <= found.nrmse(truth) < 1.9 * whole.nrmse(truth)
    assert "echo" not in whole.comments


def test_a_reversed_asymmetric_echo_gives_the_same_image(conventional_model: Any) -> None:
    raw = scan(snr=60.0)
    forth = reconstructed(cut(readouts_of(raw), 0.25), header_of(raw), conventional_model)
    back = reconstructed(reversed_in_time(cut(readouts_of(raw), 0.25)), header_of(raw), conventional_model)
    np.testing.assert_array_equal(forth.images[0].data, back.images[0].data)
    assert back.comments == forth.comments


def test_discarded_samples_are_an_asymmetric_echo_too(conventional_model: Any) -> None:
    raw = scan(snr=60.0)
    short = reconstructed(cut(readouts_of(raw), 0.25), header_of(raw), conventional_model)
    readouts = readouts_of(raw)
    for readout in readouts:
        if not readout.flags & NOISE:
            readout.discard_pre = int(readout.number_of_samples) // 4
            readout.data[:, : readout.discard_pre] = 1e6
    found = reconstructed(readouts, header_of(raw), conventional_model)
    np.testing.assert_array_equal(short.images[0].data, found.images[0].data)


@pytest.mark.parametrize(("before", "after", "size"), [(12, 0, 48), (0, 12, 48), (9, 0, 45), (14, 4, 48)])
def test_a_real_image_is_completed_up_to_what_both_sides_miss(before: int, after: int, size: int) -> None:
    x = torch.arange(size) - size // 2
    band = (x.abs() < size // 2 - min(before, after)).to(torch.complex64)
    smooth_x = ifft_centred(fft_centred(torch.exp(-((x / 6.0) ** 2)).to(torch.complex64), [-1]) * band, [-1])
    image_yx = smooth_x.abs().to(torch.complex64).expand(3, -1).clone()
    kspace_yx = fft_centred(image_yx, [-1])
    kspace_yx[:, :before] = 0
    kspace_yx[:, size - after :] = 0
    zero_yx = ifft_centred(kspace_yx, [-1])
    found_yx = fill_side(zero_yx, before, after, steps=30)
    assert float((found_yx - image_yx).norm()) < 0.2 * float((zero_yx - image_yx).norm()) + 1e-6
    kept = fft_centred(found_yx, [-1])[:, before : size - after]
    assert torch.allclose(kept, kspace_yx[:, before : size - after], atol=1e-5)


def test_half_an_echo_is_left_as_zeros_and_said(conventional_model: Any) -> None:
    raw = scan(snr=60.0)
    found = reconstructed(cut(readouts_of(raw), 0.49), header_of(raw), conventional_model)
    assert symmetric(24, 0, 48) == 1
    assert "zero-filled" in found.comments
