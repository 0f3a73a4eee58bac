"""The authors' SMUG as a baseline, after their public code: what a reimplementation by the paper would do.

All copies of a step go through the denoiser as one batch; data consistency works on k-space (ky, kx) with two-dimensional
centred transforms, every shift carried out, and a fixed number of conjugate gradient iterations (their tolerance of 1e-6,
absolute, is reached after about as many). Left out is their clamp of the denoiser's input to [-1, 1], which costs nothing
and belongs to another scaling of the images than ours.

Sources: arXiv 2312.07784 (eq. 7), arXiv 2303.12735.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from smug_recon.network.conditioning import intensity_scale
from smug_recon.network.didn import Didn
from smug_recon.network.smoothing import smoothing_noise
from smug_recon.network.unrolling import to_channels, to_complex
from smug_recon.physics import fft_centred, ifft_centred

APPLICATIONS = 17
"""Of the operator A^H A in one step: one for the first residual, one for each of 16 iterations."""


class PlainDidn(Didn):
    """DIDN as published: the same weights, the layout of memory that PyTorch takes unless told otherwise."""

    def forward(self, image_bkyx: Tensor, level_b: Tensor | None = None) -> Tensor:
        """Denoise, as :class:`smug_recon.network.Didn` does."""
        rows, columns = image_bkyx.shape[-2:]
        top, left = (-rows % 8) // 2, (-columns % 8) // 2
        padded = functional.pad(image_bkyx, [left, -columns % 8 - left, top, -rows % 8 - top])
        features = self.relu2(self.conv_down(self.relu1(self.conv_input(padded))))
        outputs = []
        for block in self.recursive:
            features = block(features)
            outputs.append(features)
        features = self.relu3(self.conv_mid(torch.cat(outputs, 1)))
        features = features + self.relu4(self.conv_mid2(features))
        denoised = padded + self.conv_output(self.subpixel(features))
        return denoised[..., top : top + rows, left : left + columns]


class AuthorsSmug(nn.Module):
    """SMUG with N steps, n independent copies and lambda = 1.

    Args:
        denoiser: D. steps: N. sigma: of the smoothing noise.
    """

    def __init__(self, denoiser: nn.Module, steps: int = 8, sigma: float = 0.01) -> None:
        super().__init__()
        self.denoiser, self.steps, self.sigma = denoiser, steps, sigma

    def forward(
        self, kspace_bcyx: Tensor, maps_bcyx: Tensor, mask_byx: Tensor, seed: int, samples: int
    ) -> Tensor:
        """Return ``image_byx``; ``kspace_bcyx`` is (ky, kx), the noise that of :class:`smug_recon.network.Smug`."""
        adjoint_byx = (maps_bcyx.conj() * ifft_centred(mask_byx[:, None] * kspace_bcyx, [-2, -1])).sum(1)
        scale = intensity_scale(adjoint_byx)[:, None, None]
        adjoint_byx = adjoint_byx / scale
        image_byx = adjoint_byx
        for step in range(self.steps):
            denoised_byx = self.smoothed(image_byx, seed * 1009 + step, samples)
            image_byx = consistent(adjoint_byx + denoised_byx, denoised_byx, maps_bcyx, mask_byx)
        return image_byx * scale

    def smoothed(self, image_byx: Tensor, seed: int, samples: int) -> Tensor:
        """Return the mean of the denoiser over all noisy copies, run as one batch."""
        slices, rows, columns = image_byx.shape
        noise = smoothing_noise(samples, slices, rows, columns, seed, False).to(image_byx.device)
        noisy = (to_channels(image_byx)[None] + self.sigma * noise).flatten(0, 1)
        level = torch.zeros(noisy.shape[0], device=noisy.device)
        return to_complex(self.denoiser(noisy, level).unflatten(0, [samples, slices]).mean(0))


def normal(image_byx: Tensor, maps_bcyx: Tensor, mask_byx: Tensor) -> Tensor:
    """Apply ``A^H A + I`` with centred two-dimensional transforms."""
    kspace_bcyx = mask_byx[:, None] * fft_centred(maps_bcyx * image_byx[:, None], [-2, -1])
    return (maps_bcyx.conj() * ifft_centred(kspace_bcyx, [-2, -1])).sum(1) + image_byx


def consistent(rhs_byx: Tensor, start_byx: Tensor, maps_bcyx: Tensor, mask_byx: Tensor) -> Tensor:
    """Solve ``(A^H A + I) x = rhs`` by 16 conjugate gradient iterations."""
    x = start_byx
    residual = rhs_byx - normal(x, maps_bcyx, mask_byx)
    direction, energy = residual, residual.abs().square().sum()
    for _ in range(APPLICATIONS - 1):
        if not float(energy) > 0:
            break
        applied = normal(direction, maps_bcyx, mask_byx)
        step = energy / (direction.conj() * applied).real.sum()
        x, residual = x + step * direction, residual - step * applied
        renewed = residual.abs().square().sum()
        direction, energy = residual + (renewed / energy) * direction, renewed
    return x
