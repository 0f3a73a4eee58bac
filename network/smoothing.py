"""Randomised smoothing of a denoiser: the average of D over Gaussian-noised copies of its input.

For a bounded D the average is Lipschitz whatever D does (Cohen 2019, arXiv 1902.02918; Salman 2019, arXiv 1906.04584); SMUG
puts it inside every unrolling step (arXiv 2312.07784, section III).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SAMPLINGS = ("antithetic", "independent")


def smoothing_noise(samples: int, slices: int, rows: int, columns: int, seed: int, antithetic: bool) -> Tensor:
    """Draw unit Gaussian noise for the smoothing copies, ``(s, b, 2, y, x)``, always on the CPU: every device sees the same.

    Args:
        samples: number of copies s. ``antithetic`` draws ceil(s / 2) fields and uses each with both signs: whatever is odd in
            the noise cancels in the average.
        slices: b; slices draw noise of their own.
        seed: of the generator; negative draws from torch's global generator (training).
    """
    drawn = (samples + 1) // 2 if antithetic else samples
    if seed < 0:
        noise = torch.randn([drawn, slices, 2, rows, columns])
    else:
        generator = torch.Generator(device="cpu")
        generator.manual_seed(seed)
        noise = torch.randn([drawn, slices, 2, rows, columns], generator=generator)
    if antithetic:
        noise = torch.stack([noise, -noise], 1).flatten(0, 1)[:samples]
    return noise


class Plain(nn.Module):
    """The denoiser as it is, with the face of a smoothed one: vanilla MoDL."""

    def __init__(self, denoiser: nn.Module) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, image_bkyx: Tensor, level_b: Tensor, seed: int, samples: int) -> tuple[Tensor, Tensor]:
        """Return D(x) as one copy, ``(1, b, 2, y, x)``, and its weight 1, ``(1, b)``."""
        return self.denoiser(image_bkyx, level_b)[None], torch.ones_like(level_b)[None]


class Smoothed(nn.Module):
    """All noisy copies through the denoiser.

    Args:
        denoiser: D. sigma: standard deviation of the noise on real and imaginary part, in units of the normalised image.
        sampling: ``antithetic`` pairs or ``independent`` copies.
    """

    def __init__(self, denoiser: nn.Module, sigma: float = 0.01, sampling: str = "antithetic") -> None:
        super().__init__()
        self.denoiser = denoiser
        self.sigma = sigma
        self.antithetic = sampling == SAMPLINGS[0]

    def forward(self, image_bkyx: Tensor, level_b: Tensor, seed: int, samples: int) -> tuple[Tensor, Tensor]:
        """Return D(x + e_i), ``(s, b, 2, y, x)``, and the weights of the average, ``(s, b)``.

        Copies are looped over on the CPU (1.2 to 2 times faster there than one large batch) and batched on a GPU.
        """
        slices, rows, columns = image_bkyx.shape[0], image_bkyx.shape[2], image_bkyx.shape[3]
        if samples < 1:
            return self.denoiser(image_bkyx, level_b)[None], torch.ones_like(level_b)[None]
        noise = smoothing_noise(samples, slices, rows, columns, seed, self.antithetic).to(image_bkyx.device)
        noisy_sbkyx = image_bkyx[None] + self.sigma * noise
        if image_bkyx.is_cuda:
            levels = level_b[None].expand(samples, -1).flatten()
            denoised = self.denoiser(noisy_sbkyx.flatten(0, 1), levels).unflatten(0, [samples, slices])
        else:
            copies: list[Tensor] = []
            for copy in range(samples):
                copies.append(self.denoiser(noisy_sbkyx[copy], level_b))
            denoised = torch.stack(copies)
        return denoised, torch.ones([samples, slices], device=image_bkyx.device)
