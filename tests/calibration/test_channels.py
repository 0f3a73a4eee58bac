"""Channels without a signal: found among the others, and taken out of the noise covariance."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known_maps import phantom
from torch import Tensor

from smug_recon.calibration import whitening_matrix
from smug_recon.calibration.channels import silent_channels, whitening_without
from smug_recon.physics import ifft_centred


def noise(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def distance(lines: int) -> Tensor:
    return (torch.arange(lines) - lines // 2).abs().to(torch.float32)


@given(
    seed=st.integers(0, 1000),
    level=st.sampled_from([0.0, 1e-6, 1.0, 1e6]),
    lines=st.integers(12, 64),
    silent=st.sets(st.integers(0, 5), max_size=4),
)
@settings(max_examples=30, deadline=None)
def test_zeros_and_noise_of_any_level_are_found_and_nothing_else(
    seed: int, level: float, lines: int, silent: set[int]
) -> None:
    kspace_cyx, _, _ = phantom(6, (64, 48), noise=0.01, seed=seed % 5)
    hybrid_cyx = ifft_centred(kspace_cyx, [2])[:, 32 - lines // 2 : 32 - lines // 2 + lines].clone()
    for channel in silent:
        hybrid_cyx[channel] = level * noise((lines, 48), seed + channel)
    every_line = torch.ones(lines, dtype=torch.bool)
    found = silent_channels(hybrid_cyx, distance(lines), every_line)
    assert set(torch.nonzero(found).flatten().tolist()) == silent


def test_a_channel_far_from_the_head_is_not_silent() -> None:
    """A thousandth of the others' signal, and 30 times its noise at the k-space centre."""
    kspace_cyx, _, _ = phantom(6, (64, 48), noise=0)
    kspace_cyx[4] *= 1e-3
    kspace_cyx[4] += float(kspace_cyx[4].abs().max()) / 30 * noise((64, 48), 1)
    every_third = torch.arange(64) % 3 == 2
    hybrid_cyx = ifft_centred(kspace_cyx, [2]) * every_third[:, None]
    assert not bool(silent_channels(hybrid_cyx, distance(64), every_third).any())


@pytest.mark.parametrize("left_out", [(0,), (2,), (1, 4), (4,)])
@pytest.mark.parametrize("without_receiver", [None, 3])
def test_the_others_are_whitened_by_their_own_covariance(
    left_out: tuple[int, ...], without_receiver: int | None
) -> None:
    root = noise((5, 5), 0).to(torch.complex128)
    if without_receiver is not None:
        root[without_receiver] = 0
    covariance_cc = root @ root.mH
    kept = torch.tensor([channel for channel in range(5) if channel not in left_out])
    found = whitening_without(whitening_matrix(covariance_cc), left_out)
    expected = whitening_matrix(covariance_cc[kept][:, kept])
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3 * float(expected.abs().max()))
    assert not torch.allclose(
        found, whitening_matrix(covariance_cc)[kept][:, kept], rtol=1e-2, atol=1e-3
    ) or left_out == (4,)
