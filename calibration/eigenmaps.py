"""The pointwise eigenproblem of ESPIRiT, G(r) s(r) = lambda(r) s(r): the largest lambda on a small grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from smug_recon.calibration.resample import grid_positions

_SQUARINGS = 3


def _waves(size: int, reach: int, device: torch.device) -> Tensor:
    """Return ``exp(2 pi i l r)`` for the centred grid positions r (rows) and lags l = -reach..reach."""
    lags = torch.arange(-reach, reach + 1, dtype=torch.float64, device=device)
    return torch.exp(2j * math.pi * grid_positions(size, device)[:, None] * lags).to(torch.complex64)


def image_space_gram(
    lags_yxcc: Tensor, grid_yx: tuple[int, int], rows: tuple[int, int] | None = None
) -> Tensor:
    """Evaluate ``G(r) = sum_l exp(2 pi i l.r) lags(l)`` on a centred grid; shape (y, x, c, c).

    Args:
        rows: first row and the one after the last, of the grid; all of them unless given.
    """
    start, stop = rows or (0, grid_yx[0])
    reach_y, reach_x = (lags_yxcc.shape[0] - 1) // 2, (lags_yxcc.shape[1] - 1) // 2
    coils = lags_yxcc.shape[-1]
    waves_y = _waves(grid_yx[0], reach_y, lags_yxcc.device)[start:stop]
    waves_x = _waves(grid_yx[1], reach_x, lags_yxcc.device)
    partial = waves_y @ lags_yxcc.reshape(2 * reach_y + 1, -1)
    gram = waves_x @ partial.reshape(stop - start, 2 * reach_x + 1, coils * coils)
    return gram.reshape(stop - start, grid_yx[1], coils, coils)


def _normalised(vectors: Tensor) -> Tensor:
    norm = (vectors.real.square() + vectors.imag.square()).sum(-2, keepdim=True).sqrt()
    return vectors / torch.where(norm > 0, norm, torch.ones_like(norm))


def dominant_eigenvectors(gram_yxcc: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Return the dominant unit eigenvectors (y, x, c) and their eigenvalues (y, x) by power iterations.

    The matrices are squared a few times first, so that one product does the work of eight iterations. Where
    the matrix is zero, so are vector and eigenvalue.

    Args:
        gram_yxcc: Hermitian, positive semi-definite, eigenvalues at most 1.
        iterations: power iterations to amount to, at least.
    """
    height, width, coils, _ = gram_yxcc.shape
    gram = gram_yxcc.reshape(-1, coils, coils)
    power = gram
    for _ in range(_SQUARINGS):
        power = power @ power
        trace = power.diagonal(dim1=-2, dim2=-1).real.sum(-1)[:, None, None]
        power = power / torch.where(trace > 0, trace, torch.ones_like(trace))
    # The strongest column of the power is never orthogonal to the eigenvector, as a fixed first guess may be.
    strongest = power.diagonal(dim1=-2, dim2=-1).real.argmax(-1)
    column = power.gather(2, strongest[:, None, None].expand(-1, coils, 1))
    vectors = _normalised(column)
    for _ in range(math.ceil(iterations / 2**_SQUARINGS)):
        vectors = _normalised(power @ vectors)
    eigenvalues = (vectors.conj() * (gram @ vectors)).real.sum((-2, -1))
    return vectors.reshape(height, width, coils), eigenvalues.reshape(height, width)


def deflated(gram_yxcc: Tensor, vectors_yxc: Tensor, eigenvalues_yx: Tensor) -> Tensor:
    """Return ``G - lambda s s^H``: its dominant eigenvector is the second one of G."""
    outer = vectors_yxc[..., :, None] * vectors_yxc[..., None, :].conj()
    return gram_yxcc - eigenvalues_yx[..., None, None] * outer
