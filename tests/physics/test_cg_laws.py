"""Conjugate gradients: the solution of a dense solver, independence of slices, exact gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from smug_recon.physics import cg_sense, conjugate_gradient, data_consistency, sense_adjoint, sense_forward
from smug_recon.physics.cg import prepared_maps

ROWS, COLUMNS, COILS = 7, 6, 3


def problem(
    hybrid: bool, slices: int = 2, dtype: torch.dtype = torch.complex128
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    maps = torch.randn(slices, COILS, ROWS, COLUMNS, generator=generator, dtype=dtype)
    maps = maps / maps.abs().square().sum(1, keepdim=True).sqrt()
    mask = (
        torch.rand((slices, ROWS) if hybrid else (slices, ROWS, COLUMNS), generator=generator) > 0.4
    ).float()
    kspace = torch.randn(slices, COILS, ROWS, COLUMNS, generator=generator, dtype=dtype)
    start = torch.randn(slices, ROWS, COLUMNS, generator=generator, dtype=dtype)
    return maps, mask, kspace, start


def normal_matrix(maps: Tensor, mask: Tensor) -> Tensor:
    """A^H A as a dense matrix of one slice, column by column."""
    unit = torch.eye(ROWS * COLUMNS, dtype=maps.dtype).reshape(-1, ROWS, COLUMNS)
    columns = [sense_adjoint(sense_forward(e[None], maps, mask), maps, mask).flatten() for e in unit]
    return torch.stack(columns, 1)


@pytest.mark.parametrize("hybrid", [True, False])
def test_equals_a_dense_solver(hybrid: bool) -> None:
    maps, mask, kspace, start = problem(hybrid)
    weight = torch.tensor([0.3, 0.01])
    rhs = sense_adjoint(kspace, maps, mask)
    solved = conjugate_gradient(rhs, start, maps, mask, weight, 300, 1e-10)
    for b in range(2):
        matrix = normal_matrix(maps[b : b + 1], mask[b : b + 1]) + weight[b].double() * torch.eye(
            ROWS * COLUMNS
        )
        assert torch.allclose(solved[b].flatten(), torch.linalg.solve(matrix, rhs[b].flatten()), atol=1e-6)


def test_residual_meets_the_tolerance() -> None:
    maps, mask, kspace, start = problem(True)
    weight = torch.tensor([0.05, 0.5])
    rhs = sense_adjoint(kspace, maps, mask)
    for tolerance in (1e-1, 1e-3, 1e-6):
        x = conjugate_gradient(rhs, start, maps, mask, weight, 500, tolerance)
        residual = rhs - sense_adjoint(sense_forward(x, maps, mask), maps, mask) - weight[:, None, None] * x
        relative = residual.abs().square().sum([1, 2]).sqrt() / rhs.abs().square().sum([1, 2]).sqrt()
        assert (relative <= 1.01 * tolerance).all()


def test_a_slice_does_not_depend_on_its_neighbours() -> None:
    maps, mask, kspace, start = problem(True, slices=3, dtype=torch.complex64)
    weight = torch.tensor([1.0, 1e-3, 0.1])
    rhs = sense_adjoint(kspace, maps, mask)
    rhs[2] = 0
    together = conjugate_gradient(rhs, start, maps, mask, weight, 40, 1e-4)
    for b in range(3):
        s = slice(b, b + 1)
        alone = conjugate_gradient(rhs[s], start[s], maps[s], mask[s], weight[s], 40, 1e-4)
        assert torch.allclose(together[s], alone, atol=1e-6)


def test_the_cap_holds_and_zero_data_give_zero() -> None:
    maps, mask, kspace, start = problem(True)
    rhs = sense_adjoint(kspace, maps, mask)
    weight = torch.full((2,), 1e-6)
    assert torch.equal(conjugate_gradient(rhs, start, maps, mask, weight, 0, 1e-9), start)
    zero = conjugate_gradient(torch.zeros_like(rhs), torch.zeros_like(rhs), maps, mask, weight, 5, 1e-4)
    assert torch.equal(zero, torch.zeros_like(rhs))


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("hybrid", [True, False])
def test_gradients_to_data_denoised_image_and_lambda(implicit: bool, hybrid: bool) -> None:
    maps, mask, kspace, start = problem(hybrid, slices=1)
    weight = torch.tensor([0.4], dtype=torch.float64)

    def solve(kspace: Tensor, denoised: Tensor, weight: Tensor) -> Tensor:
        adjoint = sense_adjoint(kspace, maps, mask)
        return torch.view_as_real(
            data_consistency(adjoint, denoised, maps, mask, weight, 400, 1e-13, implicit)
        )

    inputs = (kspace.requires_grad_(), start.requires_grad_(), weight.requires_grad_())
    # lambda is held in float32 inside, hence the tolerances
    assert torch.autograd.gradcheck(solve, inputs, eps=1e-3, atol=1e-4, rtol=1e-2)


def test_cg_sense_recovers_a_fully_sampled_image() -> None:
    maps, _, _, image = problem(True, dtype=torch.complex64)
    mask = torch.ones(2, ROWS)
    kspace = sense_forward(image, maps, mask)
    assert torch.allclose(cg_sense(kspace, maps, mask, 1e-6), image, atol=1e-4)


@pytest.mark.parametrize("hybrid", [True, False])
@pytest.mark.parametrize("implicit", [True, False])
def test_maps_prepared_once_give_the_same_bits_and_gradients(hybrid: bool, implicit: bool) -> None:
    maps, mask, kspace, start = problem(hybrid, dtype=torch.complex64)
    adjoint, weight = sense_adjoint(kspace, maps, mask), torch.tensor([0.3, 0.01])
    found = []
    for prepared in (None, prepared_maps(maps, mask)):
        denoised = start.clone().requires_grad_()
        solved = data_consistency(adjoint, denoised, maps, mask, weight, 12, 1e-6, implicit, prepared)
        solved.abs().square().sum().backward()
        assert denoised.grad is not None
        found.append((solved.detach(), denoised.grad))
    assert all(torch.equal(own, other) for own, other in zip(*found, strict=True))
