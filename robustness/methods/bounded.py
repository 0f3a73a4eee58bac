"""Denoisers whose output is bounded, as Theorem 1 of SMUG assumes (arXiv 2312.07784) and no network here guarantees by itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn

KINDS = ("clip", "tanh", "norm", "residual")


def onto_ball(image_bkyx: Tensor, radius: float) -> Tensor:
    """Project every image on the ball ``|z|_2 <= radius``."""
    norm_b = image_bkyx.float().square().sum([1, 2, 3]).sqrt().clamp_min(1e-12)
    return image_bkyx * (radius / norm_b).clamp_max(1.0)[:, None, None, None]


class Bounded(nn.Module):
    """A denoiser with a bound B on its output.

    ``clip``: every real and imaginary part to [-B, B]; ``tanh``: ``B tanh(z / B)``; ``norm``: z projected on the ball of L2 norm
    ``B sqrt(pixels)``; ``residual``: ``x + (D(x) - x)`` with the difference projected on that ball.

    Args:
        denoiser: D. kind: one of those. bound: B, in the scale in which the brightest tissue is 1.
    """

    def __init__(self, denoiser: nn.Module, kind: str, bound: float) -> None:
        super().__init__()
        self.denoiser, self.kind, self.bound = denoiser, kind, bound

    def radius(self, pixels: int) -> float:
        """Largest L2 norm of an output (``residual``: of the difference) of so many complex pixels."""
        parts = 2.0 if self.kind in ("clip", "tanh") else 1.0
        return float(self.bound * (parts * pixels) ** 0.5)

    def forward(self, image_bkyx: Tensor, level_b: Tensor) -> Tensor:
        """Denoise within the bound."""
        output = self.denoiser(image_bkyx, level_b)
        pixels = image_bkyx.shape[-2] * image_bkyx.shape[-1]
        if self.kind == "clip":
            return output.clamp(-self.bound, self.bound)
        if self.kind == "tanh":
            return self.bound * torch.tanh(output / self.bound)
        if self.kind == "norm":
            return onto_ball(output, self.radius(pixels))
        return image_bkyx + onto_ball(output - image_bkyx, self.radius(pixels))
