"""Randomised smoothing of a denoiser: the average of D over Gaussian-noised copies of its input.

For a bounded D the average is Lipschitz whatever D does (Cohen 2019, arXiv 1902.02918; Salman 2019, arXiv 1906.04584); SMUG
puts it inside every unrolling step (arXiv 2312.07784, section III).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SAMPLINGS = ("antithetic", "independent")


def smoothing_noise(
    samples: int, slices: int, rows: int, columns: int, seed: int, antithetic: bool
) -> Tensor:
    """Draw unit Gaussian noise for the smoothing copies, ``(s, b, 2, y, x)``, always on the CPU: every device sees the same.

    Args:
        samples: number of copies s. ``antithetic`` draws ceil(s / 2) fields and uses each with both signs: whatever is odd in
            the noise cancels in the average.
        slices: b. With a seed all slices share the noise, so that a slice's pixels do not depend on its neighbours in the batch.
        seed: of the generator; negative draws for each slice from torch's global generator (training).
    """
    drawn = (samples + 1) // 2 if antithetic else samples
    if seed < 0:
        noise = torch.randn([drawn, slices, 2, rows, columns])
    else:
        generator = torch.Generator(device="cpu")
        generator.manual_seed(seed)
        noise = torch.randn([drawn, 1, 2, rows, columns], generator=generator).expand(-1, slices, -1, -1, -1)
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
        mirror: every other copy is denoised as its mirror image. Mirrored anatomy is as likely as the original, so the best
            denoiser commutes with mirroring; averaging over mirror images can only lower the mean squared error (Jensen).
    """

    def __init__(
        self, denoiser: nn.Module, sigma: float = 0.01, sampling: str = "antithetic", mirror: bool = False
    ) -> None:
        super().__init__()
        self.mirror = mirror
        self.denoiser = denoiser
        self.sigma = sigma
        self.antithetic = sampling == SAMPLINGS[0]

    def noisy(self, image_bkyx: Tensor, seed: int, samples: int) -> Tensor:
        """Return the noisy copies x + e_i, ``(s, b, 2, y, x)``; for ``samples`` 0 the image itself as the only copy."""
        if samples < 1:
            return image_bkyx[None]
        slices, rows, columns = image_bkyx.shape[0], image_bkyx.shape[2], image_bkyx.shape[3]
        noise = smoothing_noise(samples, slices, rows, columns, seed, self.antithetic)
        return image_bkyx[None] + self.sigma * noise.to(image_bkyx.device)

    def copies(self, noisy_sbkyx: Tensor, level_b: Tensor) -> Tensor:
        """Denoise all copies: one after the other on the CPU (1.2 to 2 times faster there), as one batch on a GPU.

        With ``mirror`` the copies 0, 1, 2, 3, 4 ... see the image as it is, turned by 180 degrees, with x, with y reversed, as
        it is ...
        """
        samples, slices = noisy_sbkyx.shape[0], noisy_sbkyx.shape[1]
        noisy_sbkyx = self.mirrored(noisy_sbkyx)
        if noisy_sbkyx.is_cuda:
            levels = level_b[None].expand(samples, -1).flatten()
            return self.mirrored(
                self.denoiser(noisy_sbkyx.flatten(0, 1), levels).unflatten(0, [samples, slices])
            )
        denoised: list[Tensor] = []
        for copy in range(samples):
            denoised.append(self.denoiser(noisy_sbkyx[copy], level_b))
        return self.mirrored(torch.stack(denoised))

    def mirrored(self, copies_sbkyx: Tensor) -> Tensor:
        """Reverse the axes of each copy in its turn; its own inverse. Without ``mirror`` nothing happens."""
        if not self.mirror:
            return copies_sbkyx
        turned: list[Tensor] = []
        for copy in range(copies_sbkyx.shape[0]):
            axes: list[int] = []
            if copy % 4 == 1 or copy % 4 == 3:
                axes.append(-2)
            if copy % 4 == 1 or copy % 4 == 2:
                axes.append(-1)
            turned.append(copies_sbkyx[copy].flip(axes))
        return torch.stack(turned)

    def forward(self, image_bkyx: Tensor, level_b: Tensor, seed: int, samples: int) -> tuple[Tensor, Tensor]:
        """Return D(x + e_i), ``(s, b, 2, y, x)``, and the equal weights of the average, ``(s, b)``."""
        copies = self.copies(self.noisy(image_bkyx, seed, samples), level_b)
        return copies, torch.ones([copies.shape[0], copies.shape[1]], device=image_bkyx.device)
