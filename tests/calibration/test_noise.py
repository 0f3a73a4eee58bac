"""Laws of noise prewhitening."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smug_recon.calibration import dead_channels, noise_covariance, noise_scale, whitening_matrix
from smug_recon.errors import DataError


def correlated_noise(coils: int, count: int, seed: int, gain_decades: float = 0.0) -> torch.Tensor:
    """Return noise mixed by a random matrix, the gains of its channels spread over some decades."""
    generator = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(coils, coils, dtype=torch.complex64, generator=generator))
    right, _ = torch.linalg.qr(torch.randn(coils, coils, dtype=torch.complex64, generator=generator))
    mixing = left @ (torch.linspace(0.2, 1, coils)[:, None] * right)
    gains = 10 ** (gain_decades * (torch.rand(coils, generator=generator) - 0.5))
    samples = torch.randn(coils, count, dtype=torch.complex64, generator=generator)
    return gains[:, None] * (mixing @ samples)


@given(
    coils=st.integers(1, 20),
    seed=st.integers(0, 2**31),
    decades=st.floats(0, 6),
    scale=st.floats(-9, 6).map(lambda exponent: 10**exponent),
)
@settings(max_examples=40, deadline=None)
def test_whitened_covariance_is_the_identity(coils: int, seed: int, decades: float, scale: float) -> None:
    samples = scale * correlated_noise(coils, 40 * coils, seed, decades)
    covariance = noise_covariance(samples)
    whitening = whitening_matrix(covariance)
    assert torch.dist(whitening @ covariance @ whitening.mH, torch.eye(coils, dtype=torch.complex64)) < 1e-3
    assert torch.dist(noise_covariance(whitening @ samples), torch.eye(coils, dtype=torch.complex64)) < 1e-3
    assert torch.equal(whitening, whitening.tril())


def test_noise_not_seen_by_the_estimate_becomes_white() -> None:
    noise = correlated_noise(8, 60000, seed=5)
    whitening = whitening_matrix(noise_covariance(noise[:, :30000]))
    white = noise_covariance(whitening @ noise[:, 30000:])
    assert (white - torch.eye(8)).abs().max() < 0.03


def test_covariance_is_the_mean_of_outer_products_and_leaves_its_argument_alone() -> None:
    samples = correlated_noise(4, 500, seed=1)
    before = samples.clone()
    covariance = noise_covariance(samples)
    expected = torch.stack([torch.outer(n, n.conj()) for n in samples.mT]).mean(0)
    torch.testing.assert_close(covariance, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(samples, before)
    assert torch.dist(covariance, covariance.mH) < 1e-5


def test_a_dead_channel_is_switched_off_and_the_others_are_whitened() -> None:
    samples = correlated_noise(5, 1000, seed=2)
    samples[2] = 0
    covariance = noise_covariance(samples)
    whitening = whitening_matrix(covariance)
    expected = torch.eye(5, dtype=torch.complex64)
    expected[2, 2] = 0
    assert dead_channels(covariance).tolist() == [False, False, True, False, False]
    assert torch.dist(whitening @ covariance @ whitening.mH, expected) < 1e-4


def test_a_duplicate_channel_is_refused_by_its_number() -> None:
    samples = correlated_noise(4, 1000, seed=3)
    samples[3] = 2j * samples[1]
    with pytest.raises(DataError, match="receive channel 3"):
        whitening_matrix(noise_covariance(samples))


@pytest.mark.parametrize("samples", [torch.zeros(3, 100, dtype=torch.complex64)])
def test_a_silent_noise_scan_is_refused(samples: torch.Tensor) -> None:
    with pytest.raises(DataError, match="no receive channel has noise"):
        whitening_matrix(noise_covariance(samples))


def test_too_few_or_broken_samples_are_refused() -> None:
    with pytest.raises(DataError, match="found 7 noise samples for 4 receive channels"):
        noise_covariance(torch.ones(4, 7, dtype=torch.complex64))
    broken = correlated_noise(4, 100, seed=4)
    broken[1, 5] = math.nan
    with pytest.raises(DataError, match="infinite or undefined"):
        noise_covariance(broken)


def test_the_scale_makes_imaging_noise_of_another_bandwidth_unit_variance() -> None:
    """White noise has variance N0 / dwell; the noise scan passes only the share b of its bandwidth."""
    density, share, noise_dwell_us, dwell_us = 3.0, 0.79, 5.0, 8.0
    generator = torch.Generator().manual_seed(0)
    unit = torch.randn(2, 4, 50000, dtype=torch.complex64, generator=generator)
    noise_scan = unit[0] * math.sqrt(share * density / noise_dwell_us)
    imaging = unit[1] * math.sqrt(density / dwell_us)
    whitening = noise_scale(noise_dwell_us, dwell_us, share) * whitening_matrix(noise_covariance(noise_scan))
    assert (noise_covariance(whitening @ imaging) - torch.eye(4)).abs().max() < 0.03


@given(st.floats(0.1, 100), st.floats(0.1, 100), st.floats(0.1, 2), st.floats(0.1, 10))
def test_the_scale_depends_on_the_ratio_of_the_dwell_times(
    noise: float, imaging: float, b: float, unit: float
) -> None:
    assert noise_scale(noise, imaging, b) == pytest.approx(noise_scale(unit * noise, unit * imaging, b))
    assert noise_scale(noise, noise, 1.0) == pytest.approx(1.0)


@pytest.mark.parametrize("values", [(0, 5, 1), (5, -1, 1), (5, 5, 0), (5, math.nan, 1), (math.inf, 5, 1)])
def test_dwell_times_that_are_not_positive_are_refused(values: tuple[float, float, float]) -> None:
    with pytest.raises(DataError, match="three positive numbers"):
        noise_scale(*values)
