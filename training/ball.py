"""The set that a perturbation may not leave, and a step of projected gradient ascent in it (Madry 2018, arXiv 1706.06083)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TINY = 1e-30


@dataclass(frozen=True)
class Ball:
    """The perturbations (b, ...) of one size: ``|Re|, |Im| <= radius`` (``linf``) or ``|delta|_2 <= radius`` (``l2``).

    Args:
        norm: ``linf`` or ``l2``. radius_b: of each slice of the batch, >= 0.
        support: 1 where data may change, 0 elsewhere (float); its shape is that of the data, or broadcasts to it.
    """

    norm: str
    radius_b: Tensor
    support: Tensor

    def project(self, delta: Tensor) -> Tensor:
        """Return the nearest perturbation inside the ball."""
        delta = delta * self.support
        if self.norm == "linf":
            radius = per_slice(self.radius_b, delta).float()
            return torch.complex(delta.real.clamp(-radius, radius), delta.imag.clamp(-radius, radius))
        return delta * self._ratio(delta).clamp_max(1.0).float()

    def ascent(self, gradient: Tensor) -> Tensor:
        """Return the direction of steepest ascent of length one radius: signs (``linf``), or the gradient itself (``l2``)."""
        gradient = gradient * self.support
        if self.norm == "linf":
            return per_slice(self.radius_b, gradient).float() * torch.complex(
                gradient.real.sign(), gradient.imag.sign()
            )
        return gradient * self._ratio(gradient).float()

    def step(self, delta: Tensor, gradient: Tensor, length: float) -> Tensor:
        """Return ``project(delta + length * ascent(gradient))``: one step of projected gradient ascent, ``length`` in radii."""
        return self.project(delta + length * self.ascent(gradient))

    def random(self, generator: torch.Generator) -> Tensor:
        """Draw a start: uniform in the cube (``linf``); random direction, uniform length (``l2``). Drawn on the CPU."""
        shape = (2, *self.support.shape)
        if self.norm == "linf":
            parts = 2 * torch.rand(shape, generator=generator) - 1
        else:
            parts = torch.randn(shape, generator=generator)
        delta = torch.complex(parts[0], parts[1]).to(self.support.device) * self.support
        if self.norm == "linf":
            return delta * per_slice(self.radius_b, delta).float()
        share_b = torch.rand(len(delta), generator=generator).to(delta.device)
        return delta * self._ratio(delta, share_b).float()

    def contains(self, delta: Tensor, slack: float = 1e-5) -> bool:
        """Say whether a perturbation lies in the ball, up to rounding."""
        outside = bool((delta.abs() * (1 - self.support)).max() > 0)
        size_b = linf_norm_b(delta) if self.norm == "linf" else l2_norm_b(delta)
        return not outside and bool((size_b <= self.radius_b * (1 + slack)).all())

    def _ratio(self, delta: Tensor, share_b: Tensor | float = 1.0) -> Tensor:
        """Return what brings each slice to a share of the radius, in double precision."""
        return per_slice(self.radius_b * share_b / l2_norm_b(delta).clamp_min(TINY), delta)


def l2_norm_b(data: Tensor) -> Tensor:
    """Return the Euclidean norm of each slice of complex data (b, ...), shape (b,), double precision."""
    return _parts(data).square().sum(1, dtype=torch.float64).sqrt()


def linf_norm_b(data: Tensor) -> Tensor:
    """Return the largest real or imaginary part of each slice in absolute value, shape (b,)."""
    return _parts(data).abs().amax(1)


def per_slice(value_b: Tensor, like: Tensor) -> Tensor:
    """Return one value a slice in a shape that multiplies ``like`` (b, ...)."""
    return value_b.view(-1, *[1] * (like.dim() - 1))


def _parts(data: Tensor) -> Tensor:
    return torch.view_as_real(data.resolve_conj()).flatten(1)
