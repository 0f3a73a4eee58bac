"""Laws of SENSE with several sets of maps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from smug_recon.physics import cg_sense, soft_adjoint, soft_forward, soft_sense

B, S, C, Y, X = 2, 2, 6, 20, 15


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def maps_of(sets: int) -> Tensor:
    """Return maps that are orthonormal at every point."""
    basis = torch.linalg.qr(draw(B, Y, X, C, sets, seed=1)).Q
    return basis.permute(0, 4, 3, 1, 2).contiguous()


def mask_of(axes: int) -> Tensor:
    kept = torch.rand((B, Y) if axes == 2 else (B, Y, X), generator=torch.Generator().manual_seed(2))
    return (kept > 0.4).to(torch.float32)


@pytest.mark.parametrize("axes", [2, 3])
def test_adjoint(axes: int) -> None:
    image, kspace, mask = draw(B, S, Y, X, seed=3), draw(B, C, Y, X, seed=4), mask_of(axes)
    left = torch.vdot(soft_forward(image, maps_of(S), mask).flatten(), kspace.flatten())
    right = torch.vdot(image.flatten(), soft_adjoint(kspace, maps_of(S), mask).flatten())
    torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("axes", [2, 3])
def test_one_set_is_cg_sense(axes: int) -> None:
    kspace, mask = draw(B, C, Y, X, seed=4), mask_of(axes)
    one = soft_sense(kspace, maps_of(1), mask, iterations=60)
    torch.testing.assert_close(
        one[:, 0], cg_sense(kspace, maps_of(1)[:, 0], mask, iterations=60), rtol=0, atol=1e-3
    )


def test_fully_sampled_data_give_both_images_back_whatever_mixes_the_sets() -> None:
    """A unitary mixing of the sets at every point mixes the images; their root-sum-of-squares stays."""
    image, mask = draw(B, S, Y, X, seed=5), torch.ones(B, Y)
    kspace = soft_forward(image, maps_of(S), mask)
    found = soft_sense(kspace, maps_of(S), mask, regularisation=0.0)
    torch.testing.assert_close(found, image, rtol=0, atol=1e-4)
    turn = torch.linalg.qr(draw(B, Y, X, S, S, seed=6)).Q
    mixed = torch.einsum("byxst,bscyx->btcyx", turn, maps_of(S))
    again = soft_sense(kspace, mixed, mask, regularisation=0.0)
    torch.testing.assert_close(again.abs().square().sum(1), image.abs().square().sum(1), rtol=0, atol=1e-3)


def test_weights_of_lines_count_once() -> None:
    """A mask of weights w solves A^H w A x = A^H w y: consistent data give the same image for any weights."""
    image = draw(B, S, Y, X, seed=7)
    kspace = soft_forward(image, maps_of(S), torch.ones(B, Y))
    weights = 0.25 + 0.75 * torch.rand((B, Y), generator=torch.Generator().manual_seed(8))
    found = soft_sense(kspace, maps_of(S), weights, regularisation=0.0, iterations=200, tolerance=1e-6)
    torch.testing.assert_close(found, image, rtol=0, atol=2e-3)
