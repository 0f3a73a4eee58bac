"""Measured amplification: the spectral norm of a reconstruction's Jacobian, and of its denoiser's."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import forward_ad

Map = Callable[[Tensor], Tensor]


def push(function: Map, at: Tensor, along: Tensor) -> Tensor:
    """Return the Jacobian times a vector (forward mode)."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.filterwarnings(
            "ignore", message=r".*torch\.jit.*", category=DeprecationWarning
        )  # torch's own use of it
        output = function(forward_ad.make_dual(at, along))
        tangent = forward_ad.unpack_dual(output).tangent
        return torch.zeros_like(output) if tangent is None else tangent.detach()


def pull(function: Map, at: Tensor, along: Tensor) -> Tensor:
    """Return the transposed Jacobian times a vector (backward mode)."""
    variable = at.detach().requires_grad_(True)
    with torch.enable_grad():
        output = function(variable)
        (gradient,) = torch.autograd.grad(output, variable, grad_outputs=along)
    return gradient


def spectral_norm(
    function: Map, at: Tensor, iterations: int, seed: int, allowed: Tensor | None = None
) -> float:
    """Return the largest singular value of the Jacobian at a point, by power iteration on J^T J over real and imaginary parts.

    A lower estimate that grows with the iterations.

    Args:
        function: differentiable in both modes. at: the point. seed: of the first vector. allowed: 1 where the input may change.
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    parts = torch.randn((*at.shape, 2), generator=generator)
    vector = torch.view_as_complex(parts).to(at.device) if at.is_complex() else parts[..., 0].to(at.device)
    norm = 0.0
    for _ in range(iterations):
        vector = vector if allowed is None else vector * allowed
        vector = vector / torch.linalg.vector_norm(vector).clamp_min(1e-30)
        pushed = push(function, at, vector)
        norm = float(torch.linalg.vector_norm(pushed))
        vector = pull(function, at, pushed)
    return norm


def inverse_norm(apply_inverse: Map, like: Tensor, iterations: int, seed: int) -> float:
    """Return the largest eigenvalue of a positive operator (here ``(A^H A + lambda I)^-1``) by power iteration."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    vector = torch.view_as_complex(torch.randn((*like.shape, 2), generator=generator)).to(like.device)
    norm = 0.0
    for _ in range(iterations):
        vector = vector / torch.linalg.vector_norm(vector)
        vector = apply_inverse(vector)
        norm = float(torch.linalg.vector_norm(vector))
    return norm
