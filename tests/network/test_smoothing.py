"""Randomised smoothing: the noise, its seeds, antithetic pairs, and the claim that pairs come closer to the true average."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from smug_recon.errors import ConfigurationError
from smug_recon.network import Smoothed, smoothing_noise
from smug_recon.network.unrolling import deviation, weighted_mean
from smug_recon.network.weighting import weighted_regulariser


class Saturating(nn.Module):
    """A smooth nonlinear stand-in for a trained denoiser: soft-clipping of each channel with a slope inside."""

    def forward(self, image_bkyx: Tensor, level_b: Tensor) -> Tensor:
        return torch.tanh(3 * image_bkyx) + 0.3 * image_bkyx.square()


def test_noise_is_unit_gaussian_seeded_and_shared_by_slices() -> None:
    noise = smoothing_noise(4, 3, 64, 64, seed=9, antithetic=False)
    assert noise.shape == (4, 3, 2, 64, 64)
    assert torch.equal(noise, smoothing_noise(4, 3, 64, 64, seed=9, antithetic=False))
    assert torch.equal(noise[:, 0], noise[:, 2])
    assert float(noise.mean()) == pytest.approx(0, abs=0.02)
    assert float(noise.var()) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("samples", [1, 2, 3, 6])
def test_antithetic_copies_come_in_pairs(samples: int) -> None:
    noise = smoothing_noise(samples, 1, 8, 8, seed=0, antithetic=True)
    assert noise.shape[0] == samples
    for first in range(0, samples - 1, 2):
        assert torch.equal(noise[first], -noise[first + 1])


def test_training_noise_follows_the_global_generator_and_differs_between_slices() -> None:
    torch.manual_seed(4)
    first = smoothing_noise(2, 2, 8, 8, seed=-1, antithetic=True)
    torch.manual_seed(4)
    assert torch.equal(first, smoothing_noise(2, 2, 8, 8, seed=-1, antithetic=True))
    assert not torch.equal(first[:, 0], first[:, 1])


def test_a_linear_denoiser_is_smoothed_exactly_by_one_pair() -> None:
    class Blur(nn.Module):
        def forward(self, image_bkyx: Tensor, level_b: Tensor) -> Tensor:
            return 0.5 * image_bkyx + 0.5 * image_bkyx.roll(1, -1) + 0.1

    image = torch.randn(2, 2, 16, 16)
    copies, weights = Smoothed(Blur(), sigma=0.3)(image, torch.zeros(2), 1, 2)
    assert torch.allclose(weighted_mean(copies, weights), Blur()(image, torch.zeros(2)), atol=1e-5)


@pytest.mark.parametrize("sigma", [0.01, 0.05])
def test_two_antithetic_copies_beat_ten_independent_ones(sigma: float) -> None:
    image = 0.5 * torch.randn(1, 2, 48, 48, generator=torch.Generator().manual_seed(2))
    level = torch.zeros(1)

    def average(sampling: str, samples: int, seed: int) -> Tensor:
        return weighted_mean(*Smoothed(Saturating(), sigma, sampling)(image, level, seed, samples))

    truth = average("antithetic", 400, 77)
    pairs = torch.stack(
        [(average("antithetic", 2, seed) - truth).square().mean() for seed in range(8)]
    ).mean()
    singles = torch.stack(
        [(average("independent", 10, seed) - truth).square().mean() for seed in range(8)]
    ).mean()
    assert float(pairs) < float(singles)


def test_no_samples_means_no_noise() -> None:
    image = torch.randn(1, 2, 8, 8)
    copies, weights = Smoothed(Saturating())(image, torch.zeros(1), 3, 0)
    assert torch.equal(copies[0], Saturating()(image, torch.zeros(1)))
    assert torch.equal(weights, torch.ones(1, 1))


def test_mirroring_changes_nothing_for_a_denoiser_that_commutes_with_it() -> None:
    image = torch.randn(2, 2, 16, 18)
    level = torch.zeros(2)
    for samples in (0, 1, 2, 5):
        plain = Smoothed(Saturating())(image, level, 3, samples)[0]
        assert torch.equal(Smoothed(Saturating(), mirror=True)(image, level, 3, samples)[0], plain)


def test_mirrored_average_is_the_average_over_the_mirror_images() -> None:
    class Ramp(nn.Module):
        def forward(self, image_bkyx: Tensor, level_b: Tensor) -> Tensor:
            weight = (
                torch.linspace(0, 1, image_bkyx.shape[-1])
                + torch.linspace(0, 2, image_bkyx.shape[-2])[:, None]
            )
            return image_bkyx * weight

    image, level = torch.randn(1, 2, 12, 10), torch.zeros(1)
    smoothed = Smoothed(Ramp(), sigma=0.0, mirror=True)
    # over the four mirror images, and over a half turn, the ramp averages to its mean 1.5
    for samples in (2, 4):
        assert torch.allclose(weighted_mean(*smoothed(image, level, 0, samples)), 1.5 * image, atol=1e-5)


def test_pixel_weights_that_are_equal_are_image_weights() -> None:
    copies = torch.randn(3, 2, 2, 6, 5)
    weights = torch.rand(3, 2) + 0.1
    of_pixels = weights[:, :, None, None].expand(-1, -1, 6, 5)
    for combine in (weighted_mean, deviation):
        assert torch.allclose(combine(copies, of_pixels), combine(copies, weights))


@pytest.mark.parametrize("weighting", ["image", "pixel", "spread"])
def test_weights_are_positive_and_those_of_a_constant_noise_free_copy_are_equal(weighting: str) -> None:
    smoothed = weighted_regulariser(weighting, Saturating(), 0.0, "independent").eval()
    image = torch.randn(2, 2, 12, 10)
    with torch.no_grad():
        copies, weights = smoothed(image, torch.zeros(2), 1, 4)
    assert float(weights.min()) > 0 and weights.shape[:2] == (4, 2)
    assert torch.allclose(weighted_mean(copies, weights), Saturating()(image, torch.zeros(2)), atol=1e-6)


def test_spread_weights_draw_the_mean_away_from_an_outlier_and_leave_a_pair_alone() -> None:
    class OneWild(nn.Module):
        calls = 0

        def forward(self, image_bkyx: Tensor, level_b: Tensor) -> Tensor:
            self.calls += 1
            return image_bkyx + (5.0 if self.calls == 1 else 0.0)

    image = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    level = torch.zeros(1)
    plain = weighted_mean(
        *weighted_regulariser("uniform", OneWild(), 0.01, "independent")(image, level, 1, 6)
    )
    robust = weighted_mean(
        *weighted_regulariser("spread", OneWild(), 0.01, "independent")(image, level, 1, 6)
    )
    assert float((robust - image).abs().mean()) < 0.5 * float((plain - image).abs().mean())
    weights = weighted_regulariser("spread", Saturating(), 0.05, "antithetic")(image, level, 1, 2)[1]
    assert torch.allclose(weights[0], weights[1], atol=1e-3)


def test_an_unknown_weighting_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="uniform, image, pixel or spread"):
        weighted_regulariser("median", Saturating(), 0.01, "antithetic")
