"""What a denoiser puts out during a reconstruction: is it bounded in practice?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from smug_recon.robustness.methods.network import NetworkMethod, overheard


@dataclass
class Outputs:
    """Norms of a denoiser over the calls of one reconstruction."""

    output_l2: list[float] = field(default_factory=list)
    residual_l2: list[float] = field(default_factory=list)
    largest_part: list[float] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)

    def summary(self, condition: str) -> dict[str, float]:
        """Return the largest of each norm, by name."""
        return {
            f"output_l2_{condition}": max(self.output_l2),
            f"residual_l2_{condition}": max(self.residual_l2),
            f"output_linf_{condition}": max(self.largest_part),
        }


@contextmanager
def watched(method: NetworkMethod) -> Iterator[Outputs]:
    """Record the denoiser's outputs while the context is open; the first input of each step is kept."""
    seen = Outputs()

    def heard(image: Tensor, output: Tensor) -> None:
        for one, other in zip(output, image, strict=True):
            seen.output_l2.append(float(torch.linalg.vector_norm(one)))
            seen.residual_l2.append(float(torch.linalg.vector_norm(one - other)))
            seen.largest_part.append(float(one.abs().max()))
        seen.inputs.append(image[:1].detach())

    with overheard(method, heard):
        yield seen
