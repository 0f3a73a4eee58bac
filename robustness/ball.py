"""The set that a perturbation may not leave.

With strength s and the peak p of the target, over the n complex numbers that may change:

* ``linf``: every real and every imaginary part within ``[-s p, s p]``;
* ``l2``: ``|delta|_2 <= s p sqrt(2 n)``, the energy of the strongest ``linf`` perturbation.

So equal strengths allow equal energy, the ``l2`` ball holds the ``linf`` one, and Gaussian noise of standard deviation s p on both
parts has about that energy too. Transforms are orthonormal: k-space and image share the unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ball:
    """The perturbations of one strength.

    Args:
        norm: ``linf`` or ``l2``. limit: strength times peak. support: 1 where data may change (float), shape of the data.
    """

    norm: str
    limit: float
    support: Tensor

    @property
    def radius(self) -> float:
        """The limit in the ball's own norm."""
        return self.limit if self.norm == "linf" else float(self.limit * (2 * self.support.sum()) ** 0.5)

    def project(self, delta: Tensor) -> Tensor:
        """Return the nearest perturbation inside the ball."""
        delta = delta * self.support
        if self.norm == "linf":
            return torch.complex(
                delta.real.clamp(-self.limit, self.limit), delta.imag.clamp(-self.limit, self.limit)
            )
        return delta * min(1.0, self.radius / max(l2_norm(delta), 1e-30))

    def ascent(self, gradient: Tensor) -> Tensor:
        """Return the direction of steepest ascent of length one radius: signs (``linf``), or the gradient itself (``l2``)."""
        gradient = gradient * self.support
        if self.norm == "linf":
            return self.limit * torch.complex(gradient.real.sign(), gradient.imag.sign())
        return gradient * (self.radius / max(l2_norm(gradient), 1e-30))

    def random(self, generator: torch.Generator) -> Tensor:
        """Draw a start: uniform in the cube (``linf``); random direction, uniform length (``l2``). Drawn on the CPU."""
        shape = (2, *self.support.shape)
        if self.norm == "linf":
            parts = (2 * torch.rand(shape, generator=generator) - 1) * self.limit
        else:
            parts = torch.randn(shape, generator=generator)
        delta = torch.complex(parts[0], parts[1]).to(self.support.device) * self.support
        if self.norm == "linf":
            return delta
        length = float(torch.rand([], generator=generator))
        return delta * (self.radius * length / max(l2_norm(delta), 1e-30))

    def contains(self, delta: Tensor, slack: float = 1e-5) -> bool:
        """Say whether a perturbation lies in the ball, up to rounding."""
        outside = bool((delta.abs() * (1 - self.support)).max() > 0)
        size = linf_norm(delta) if self.norm == "linf" else l2_norm(delta)
        return not outside and size <= self.radius * (1 + slack)


def l2_norm(data: Tensor) -> float:
    """Return the Euclidean norm of complex data."""
    return float(torch.view_as_real(data.resolve_conj()).square().sum(dtype=torch.float64).sqrt())


def linf_norm(data: Tensor) -> float:
    """Return the largest real or imaginary part in absolute value."""
    return float(torch.view_as_real(data.resolve_conj()).abs().max())
