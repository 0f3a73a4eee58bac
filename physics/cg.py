"""Data consistency: (A^H A + lambda I) x = A^H y + lambda z, solved by conjugate gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from smug_recon.physics.columns import columns_first, normal_columns
from smug_recon.physics.sense import broadcast_mask, normal_operator, transform_axes


def energy_of(a: Tensor) -> Tensor:
    """Return ``|a|^2`` of each slice of a batch, shape (b,), over all axes but the first."""
    return (a.real.square() + a.imag.square()).sum(list(range(1, a.dim())))


def inner_product(a: Tensor, b: Tensor) -> Tensor:
    """Return ``Re <a, b>`` of each slice of a batch, shape (b,), over all axes but the first."""
    return (a.real * b.real + a.imag * b.imag).sum(list(range(1, a.dim())))


def cg_step(
    x: Tensor, residual: Tensor, direction: Tensor, applied: Tensor, energy_b: Tensor, goal_b: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One iteration of conjugate gradients for each slice of a batch (Hestenes and Stiefel 1952, DOI 10.6028/jres.049.044).

    Every slice has its own step lengths and stops on its own: its pixels do not depend on its neighbours in the batch.

    Args:
        x, residual, direction: the iterates, complex, shape (b, ...).
        applied: the operator on ``direction``.
        energy_b: |residual|^2. goal_b: a slice whose energy is not above it stays as it is.

    Returns:
        ``x``, ``residual``, ``direction`` and ``energy_b`` after the iteration.
    """
    per_slice = [-1] + [1] * (x.dim() - 1)
    active = energy_b > goal_b
    curvature = inner_product(direction, applied)
    step = torch.where(
        active,
        energy_b / torch.where(active, curvature, torch.ones_like(curvature)),
        torch.zeros_like(energy_b),
    )
    x = x + step.view(per_slice) * direction
    residual = residual - step.view(per_slice) * applied
    renewed = energy_of(residual)
    ratio = torch.where(
        active, renewed / torch.where(active, energy_b, torch.ones_like(energy_b)), torch.zeros_like(energy_b)
    )
    direction = residual + ratio.view(per_slice) * direction
    return x, residual, direction, torch.where(active, renewed, energy_b)


def prepared_maps(maps_bcyx: Tensor, mask: Tensor) -> Tensor:
    """Return the coil maps as the solver works on them: shifted, column by column for ``mask_by``; the same in every step."""
    maps_s = torch.fft.ifftshift(maps_bcyx, dim=transform_axes(mask))
    if mask.dim() == 2:
        return columns_first(maps_s)
    return maps_s


def conjugate_gradient(
    rhs_byx: Tensor,
    start_byx: Tensor,
    maps_bcyx: Tensor,
    mask: Tensor,
    lambda_b: Tensor,
    iterations: int = 20,
    tolerance: float = 1e-4,
    prepared: Tensor | None = None,
) -> Tensor:
    """Solve ``(A^H A + lambda_b I) x = rhs`` for each slice of a batch, by :func:`cg_step`.

    Where the mask depends on ky alone the columns are worked on in blocks (:mod:`smug_recon.physics.columns`). The gradients
    flow through all iterations, to ``rhs``, ``start``, ``maps`` and ``lambda``.

    Args:
        rhs_byx: right-hand side, complex.
        start_byx: first guess, complex.
        maps_bcyx: coil maps. mask: ``mask_by`` or ``mask_byx`` (see :mod:`smug_recon.physics.sense`).
        lambda_b: regularisation of each slice, >= 0.
        iterations: cap on the iterations.
        tolerance: a slice stops when |residual| <= tolerance * |rhs|.
        prepared: what :func:`prepared_maps` makes of the maps, where it has been made already.

    Returns:
        ``image_byx``, in the geometry of ``rhs_byx``.
    """
    axes = transform_axes(mask)
    maps_s = prepared_maps(maps_bcyx, mask) if prepared is None else prepared
    mask_s = broadcast_mask(mask)
    mask_s = torch.fft.ifftshift(mask_s, dim=axes)
    x = torch.fft.ifftshift(start_byx, dim=axes)
    rhs = torch.fft.ifftshift(rhs_byx, dim=axes)
    weight = lambda_b.to(torch.float32)[:, None, None]
    by_columns = mask.dim() == 2
    if by_columns:
        x, rhs, mask_s = columns_first(x), columns_first(rhs), mask_s[:, 0, :, 0]

    residual = rhs - _normal(x, maps_s, mask_s, axes, by_columns) - weight * x
    direction = residual
    energy = energy_of(residual)
    goal = energy_of(rhs) * (tolerance * tolerance)
    done = 0
    while done < iterations and bool((energy > goal).any()):
        applied = _normal(direction, maps_s, mask_s, axes, by_columns) + weight * direction
        x, residual, direction, energy = cg_step(x, residual, direction, applied, energy, goal)
        done += 1
    if by_columns:
        x = x.transpose(1, 2).contiguous()
    return torch.fft.fftshift(x, dim=axes)


def _normal(image: Tensor, maps: Tensor, mask: Tensor, axes: list[int], by_columns: bool) -> Tensor:
    if by_columns:
        return normal_columns(image, maps, mask)
    return normal_operator(image, maps, mask, axes)


class _Implicit(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        rhs: Tensor,
        start: Tensor,
        maps: Tensor,
        mask: Tensor,
        weight: Tensor,
        iterations: int,
        tolerance: float,
        prepared: Tensor | None,
    ) -> Tensor:
        x = conjugate_gradient(rhs, start, maps, mask, weight, iterations, tolerance, prepared)
        ctx.save_for_backward(x, maps, mask, weight, prepared)
        ctx.iterations, ctx.tolerance = iterations, tolerance
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, maps, mask, weight, prepared = ctx.saved_tensors
        (gradient,) = gradients
        start = gradient / (1 + weight.to(torch.float32)[:, None, None])
        adjoint = conjugate_gradient(
            gradient, start, maps, mask, weight, ctx.iterations, ctx.tolerance, prepared
        )
        return adjoint, None, None, None, -inner_product(adjoint, x), None, None, None


def data_consistency(
    adjoint_byx: Tensor,
    denoised_byx: Tensor,
    maps_bcyx: Tensor,
    mask: Tensor,
    lambda_b: Tensor,
    iterations: int,
    tolerance: float,
    implicit: bool,
    prepared: Tensor | None = None,
) -> Tensor:
    """Return ``argmin |A x - y|^2 + lambda |x - z|^2 = (A^H A + lambda I)^-1 (A^H y + lambda z)``, started at z.

    Args:
        adjoint_byx: A^H y. denoised_byx: z. The rest as in :func:`conjugate_gradient`.
        implicit: differentiate by the implicit function theorem (one more solve in the backward pass, no stored iterations;
            exact as far as the solve has converged, for y, z and lambda but not for the maps) instead of through the iterations.
    """
    rhs_byx = adjoint_byx + lambda_b.to(torch.float32)[:, None, None] * denoised_byx
    if not torch.jit.is_scripting() and implicit:
        found: Tensor = _Implicit.apply(
            rhs_byx, denoised_byx, maps_bcyx, mask, lambda_b, iterations, tolerance, prepared
        )
        return found
    return conjugate_gradient(
        rhs_byx, denoised_byx, maps_bcyx, mask, lambda_b, iterations, tolerance, prepared
    )
