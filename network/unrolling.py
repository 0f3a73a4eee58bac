"""The unrolled network: denoise, then data consistency, N times with shared weights (MoDL, DOI 10.1109/TMI.2018.2865356)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from smug_recon.network.conditioning import intensity_scale, log_level, noise_level
from smug_recon.network.smoothing import Plain, Smoothed
from smug_recon.physics.cg import data_consistency, prepared_maps
from smug_recon.physics.sense import sense_adjoint


def to_channels(image_byx: Tensor) -> Tensor:
    """Complex ``(b, y, x)`` to real ``(b, 2, y, x)``."""
    return torch.stack([image_byx.real, image_byx.imag], 1)


def to_complex(image_bkyx: Tensor) -> Tensor:
    """Real ``(b, 2, y, x)`` to complex ``(b, y, x)``."""
    return torch.complex(image_bkyx[:, 0].float().contiguous(), image_bkyx[:, 1].float().contiguous())


class Unrolled(nn.Module):
    """x_0 = A^H y; z_n = weighted mean of the regulariser's copies; x_{n+1} = (A^H A + lambda_n I)^-1 (A^H y + lambda_n z_n).

    Args:
        regulariser: returns copies ``(s, b, 2, y, x)`` and their weights, ``(s, b)`` or ``(s, b, y, x)``.
        steps: N. More steps than N at run time repeat the last lambda.
        lam: lambda, where the noise level is 0.01.
        learned: one learned lambda a step, and a learned exponent of the noise level (clean data: smaller lambda).
        iterations, tolerance: of the conjugate gradients.
        shared_noise: every step smooths with the same noise (arXiv 2303.12735) instead of fresh noise (arXiv 2312.07784).
    """

    def __init__(
        self,
        regulariser: nn.Module,
        steps: int = 8,
        lam: float = 1.0,
        learned: bool = False,
        iterations: int = 20,
        tolerance: float = 1e-4,
        shared_noise: bool = False,
    ) -> None:
        super().__init__()
        self.regulariser = regulariser
        self.shared_noise = shared_noise
        self.steps = steps
        self.iterations = iterations
        self.tolerance = tolerance
        self.implicit = True
        self.log_lambda = nn.Parameter(torch.full([steps], math.log(lam)), requires_grad=learned)
        self.exponent = nn.Parameter(torch.tensor(1.0 if learned else 0.0), requires_grad=learned)

    def lambda_at(self, step: int, level_b: Tensor) -> Tensor:
        """Return lambda of a step for each slice, shape (b,), given the log noise level."""
        place = min(step, self.log_lambda.shape[0] - 1)
        return torch.exp(self.log_lambda[place] + self.exponent * math.log(10.0) * level_b)

    def forward(
        self, kspace_bcyx: Tensor, maps_bcyx: Tensor, mask: Tensor, seed: int, samples: int
    ) -> tuple[Tensor, Tensor]:
        """Reconstruct slices of any intensity.

        Args:
            kspace_bcyx: complex64; hybrid space (ky, x) with ``mask_by``, k-space (ky, kx) with ``mask_byx``.
            maps_bcyx: coil maps, unit norm over the coils.
            mask: 1 where sampled.
            seed: of the smoothing noise. samples: number of smoothing copies (0: the denoiser without smoothing).

        Returns:
            ``image_byx`` complex64 in the units of the input, and ``spread_byx`` float32: the standard deviation over the
            smoothing copies in the last step, same units.
        """
        adjoint_byx = sense_adjoint(kspace_bcyx, maps_bcyx, mask)
        scale_b = intensity_scale(adjoint_byx)
        level_b = log_level(noise_level(kspace_bcyx, maps_bcyx, mask) / scale_b)
        scale = scale_b[:, None, None]
        image_byx, copies, weights = self.unroll(adjoint_byx / scale, maps_bcyx, mask, level_b, seed, samples)
        spread_byx = deviation(copies[-1], weights[-1])
        return image_byx * scale, spread_byx * scale

    def unroll(
        self, adjoint_byx: Tensor, maps_bcyx: Tensor, mask: Tensor, level_b: Tensor, seed: int, samples: int
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Run the steps on a normalised A^H y; also return every step's copies and weights (the UStab loss needs them)."""
        return self.run_steps(adjoint_byx, adjoint_byx, maps_bcyx, mask, level_b, seed, samples)

    def run_steps(
        self,
        start_byx: Tensor,
        adjoint_byx: Tensor,
        maps_bcyx: Tensor,
        mask: Tensor,
        level_b: Tensor,
        seed: int,
        samples: int,
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Run the steps from ``start_byx`` with the data consistency of ``adjoint_byx``; the plain network starts at the latter."""
        image_byx = start_byx
        all_copies: list[Tensor] = []
        all_weights: list[Tensor] = []
        if self.shared_noise and seed < 0:
            seed = int(torch.rand([1]).item() * 2147483647)
        prepared = prepared_maps(maps_bcyx, mask)
        for step in range(self.steps):
            own_seed = -1 if seed < 0 else seed * 1009 + (0 if self.shared_noise else step)
            copies, weights = self.regulariser(to_channels(image_byx), level_b, own_seed, samples)
            denoised_byx = to_complex(weighted_mean(copies, weights))
            image_byx = data_consistency(
                adjoint_byx,
                denoised_byx,
                maps_bcyx,
                mask,
                self.lambda_at(step, level_b),
                self.iterations,
                self.tolerance,
                self.implicit,
                prepared,
            )
            all_copies.append(copies)
            all_weights.append(weights)
        return image_byx, all_copies, all_weights


def over_pixels(weights: Tensor) -> Tensor:
    """Return weights of images ``(s, b)`` as ``(s, b, 1, 1)``; those of pixels ``(s, b, y, x)`` as they are."""
    return weights[:, :, None, None] if weights.dim() == 2 else weights


def weighted_mean(copies_sbkyx: Tensor, weights: Tensor) -> Tensor:
    """Return ``sum_i w_i z_i / sum_i w_i`` over the copies, shape (b, 2, y, x), float32; weights ``(s, b)`` or ``(s, b, y, x)``."""
    weights = over_pixels(weights)[:, :, None]
    return (weights * copies_sbkyx.float()).sum(0) / weights.sum(0)


def deviation(copies_sbkyx: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted standard deviation of the complex copies, shape (b, y, x); zero for a single copy."""
    mean = weighted_mean(copies_sbkyx, weights)
    square = (copies_sbkyx.float() - mean[None]).square().sum(2)
    weights = over_pixels(weights)
    return ((weights * square).sum(0) / weights.sum(0)).sqrt()


class MoDL(Unrolled):
    """Vanilla MoDL (Aggarwal 2019): the denoiser once a step, no smoothing; ``unrolling`` goes to :class:`Unrolled`."""

    def __init__(self, denoiser: nn.Module, **unrolling: Any) -> None:
        super().__init__(Plain(denoiser), **unrolling)


class Smug(Unrolled):
    """SMUG (arXiv 2312.07784, eq. 7): the denoiser averaged over noisy copies in every step, one data consistency solve a step.

    ``sigma``, ``sampling`` and ``mirror`` as in :class:`Smoothed`; ``unrolling`` goes to :class:`Unrolled`.
    """

    def __init__(
        self,
        denoiser: nn.Module,
        sigma: float = 0.01,
        sampling: str = "antithetic",
        mirror: bool = False,
        **unrolling: Any,
    ) -> None:
        super().__init__(Smoothed(denoiser, sigma, sampling, mirror), **unrolling)
