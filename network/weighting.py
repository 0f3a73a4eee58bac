"""Weighted SMUG: the average over the noisy copies is weighted by an encoder (arXiv 2312.07784, section III-C) or otherwise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from smug_recon.errors import ConfigurationError
from smug_recon.network.smoothing import Smoothed
from smug_recon.network.unrolling import Unrolled


class WeightEncoder(nn.Module):
    """Scores an image with one weight in (0, 1): 9,681 parameters, names as in the reference implementation."""

    def __init__(self, blocks: int = 5, width: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for block in range(blocks):
            layers += [
                nn.Conv2d(2 if block == 0 else width, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, 1)

    def forward(self, image_bkyx: Tensor) -> Tensor:
        """Return the weight of each image, shape (b,)."""
        return torch.sigmoid(self.fc(self.pool(self.features(image_bkyx)).flatten(1)))[:, 0]


class PixelWeightEncoder(WeightEncoder):
    """Scores every pixel: the convolutions of :class:`WeightEncoder` without pooling, the linear layer at each pixel."""

    def forward(self, image_bkyx: Tensor) -> Tensor:
        """Return the weight of each pixel of each image, shape (b, y, x)."""
        return torch.sigmoid(self.fc(self.features(image_bkyx).movedim(1, -1)))[..., 0]


class WeightedSmoothed(Smoothed):
    """Noisy copies through the denoiser, each with the weight, or the map of weights, that the encoder gives its noisy input."""

    def __init__(
        self, denoiser: nn.Module, encoder: nn.Module, sigma: float = 0.01, sampling: str = "antithetic"
    ) -> None:
        super().__init__(denoiser, sigma, sampling)
        self.encoder = encoder

    def forward(self, image_bkyx: Tensor, level_b: Tensor, seed: int, samples: int) -> tuple[Tensor, Tensor]:
        """Return D(x + e_i), ``(s, b, 2, y, x)``, and w_i = E(x + e_i), ``(s, b)`` or ``(s, b, y, x)``."""
        noisy_sbkyx = self.noisy(image_bkyx, seed, samples)
        weights_sb = self.encoder(noisy_sbkyx.flatten(0, 1)).unflatten(
            0, [noisy_sbkyx.shape[0], noisy_sbkyx.shape[1]]
        )
        return self.copies(noisy_sbkyx, level_b), weights_sb


class SpreadWeighted(Smoothed):
    """Copies that stand apart from the others count less, pixel by pixel and without learning: w_i = 1 / (1 + |z_i - m|^2 / v).

    m is the mean of the copies z_i, v the mean of |z_i - m|^2: one step of a Cauchy M-estimate of their centre (Holland 1977,
    DOI 10.1080/03610927708827533). Two copies are equally far from their mean: their weights are equal.
    """

    def forward(self, image_bkyx: Tensor, level_b: Tensor, seed: int, samples: int) -> tuple[Tensor, Tensor]:
        """Return D(x + e_i), ``(s, b, 2, y, x)``, and w_i, ``(s, b, y, x)``."""
        copies = self.copies(self.noisy(image_bkyx, seed, samples), level_b)
        away = (copies.float() - copies.float().mean(0)).square().sum(2)
        return copies, 1 / (1 + away / (away.mean(0) + 1e-12))


def weighted_regulariser(weighting: str, denoiser: nn.Module, sigma: float, sampling: str) -> Smoothed:
    """Return the smoothed denoiser with weights of a kind: ``uniform``, ``image``, ``pixel`` (both learned) or ``spread``.

    Raises:
        ConfigurationError: no such kind.
    """
    if weighting == "uniform":
        return Smoothed(denoiser, sigma, sampling)
    if weighting == "spread":
        return SpreadWeighted(denoiser, sigma, sampling)
    encoders = {"image": WeightEncoder, "pixel": PixelWeightEncoder}
    if weighting not in encoders:
        raise ConfigurationError(
            f"weighting {weighting!r}", "uniform, image, pixel or spread", "correct network.weighting"
        )
    return WeightedSmoothed(denoiser, encoders[weighting](), sigma, sampling)


class WeightedSmug(Unrolled):
    """Weighted SMUG: z_n = sum_i w_i D(x_n + e_i) / sum_i w_i; ``unrolling`` goes to :class:`Unrolled`."""

    def __init__(
        self, denoiser: nn.Module, sigma: float = 0.01, sampling: str = "antithetic", **unrolling: Any
    ) -> None:
        super().__init__(WeightedSmoothed(denoiser, WeightEncoder(), sigma, sampling), **unrolling)
