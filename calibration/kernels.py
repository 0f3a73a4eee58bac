"""From calibration lines to the local subspace of k-space: calibration matrix, signal space, lags.

Names as in Uecker et al. 2014 (DOI 10.1002/mrm.24751), with the calibration matrix transposed: its columns
are the blocks ``y_c(t + i)``, i over the kernel, of all coils. If the maps s_c hold, every block is a sum of
vectors ``s_c(r) exp(-2 pi i i.r)``, so the projector onto the blocks' signal space leaves these unchanged.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def calibration_matrix(calibration_cyx: Tensor, kernel_yx: tuple[int, int]) -> Tensor:
    """Return the matrix whose columns are all kernel-sized blocks of the region.

    Args:
        calibration_cyx: k-space, at least as large as the kernel.
        kernel_yx: size of the blocks (ky, kx). The rows run over (ky, kx, coil).
    """
    blocks_cyxij = calibration_cyx.unfold(1, kernel_yx[0], 1).unfold(2, kernel_yx[1], 1)
    coils = calibration_cyx.shape[0]
    return blocks_cyxij.permute(3, 4, 0, 1, 2).reshape(kernel_yx[0] * kernel_yx[1] * coils, -1)


def calibration_gram(calibration_cyx: Tensor, kernel_yx: tuple[int, int]) -> Tensor:
    """Return ``M M^H`` of the calibration matrix M without building M.

    The products of two k-space rows are formed once and shared by all the blocks that contain both rows, so
    the cost is that of ``kernel_y`` products of rows instead of ``kernel_y^2 / 2``.
    """
    coils, rows, _ = calibration_cyx.shape
    kernel_y, kernel_x = kernel_yx
    side, steps = kernel_x * coils, rows - kernel_y + 1
    blocks_yta = calibration_cyx.unfold(2, kernel_x, 1).permute(1, 2, 3, 0).reshape(rows, -1, side)
    blocks_yat = blocks_yta.mT.contiguous()
    blocks_yta = blocks_yta.conj().resolve_conj()
    gram = calibration_cyx.new_zeros((kernel_y, side, kernel_y, side))
    for lag in range(kernel_y):
        products = blocks_yat[lag:] @ blocks_yta[: rows - lag]
        for lower in range(kernel_y - lag):
            window = products[lower : lower + steps].sum(0)
            gram[lower + lag, :, lower] = window
            if lag:
                gram[lower, :, lower + lag] = window.mH
    return gram.reshape(kernel_y * side, kernel_y * side)


def _principal(gram: Tensor, threshold: float, floor: float) -> tuple[Tensor, Tensor]:
    """Return the eigenpairs whose roots exceed ``threshold`` times the largest root, and ``floor``."""
    peak = gram.diagonal().real.amax()
    scale = torch.where(peak > 0, peak, torch.ones_like(peak))
    energy, vectors = torch.linalg.eigh(gram / scale)
    kept = (energy > threshold**2 * energy[-1]) & (energy > 0) & (energy * scale > floor**2)
    return vectors[:, kept], energy[kept] * scale


def signal_projector(
    calibration_cyx: Tensor, kernel_yx: tuple[int, int], threshold: float, noise_level: Tensor | float = 0.0
) -> Tensor:
    """Return the projector onto the left singular vectors of the calibration matrix M that carry signal.

    These have a singular value above ``threshold`` times the largest one and above what noise alone reaches,
    ``noise_level * (sqrt(rows) + sqrt(columns))`` of M (Marchenko and Pastur 1967, DOI
    10.1070/SM1967v001n04ABEH001994). They are found from ``M M^H`` or from ``M^H M``, whichever is smaller.
    An all-zero region has no signal: its projector is zero.
    """
    coils, rows, columns = calibration_cyx.shape
    blocks = (rows - kernel_yx[0] + 1) * (columns - kernel_yx[1] + 1)
    side = kernel_yx[0] * kernel_yx[1] * coils
    floor = float(noise_level) * (math.sqrt(side) + math.sqrt(blocks))
    if blocks >= side:
        signal, _ = _principal(calibration_gram(calibration_cyx, kernel_yx), threshold, floor)
    else:
        matrix = calibration_matrix(calibration_cyx, kernel_yx)
        right, energy = _principal(matrix.mH @ matrix, threshold, floor)
        signal = matrix @ (right / energy.sqrt())
    return signal @ signal.mH


def lag_sums(projector: Tensor, kernel_yx: tuple[int, int], coils: int) -> Tensor:
    """Sum the projector over all pairs of kernel positions of equal difference: kernel autocorrelation.

    Returns:
        shape (2 kernel_y - 1, 2 kernel_x - 1, coils, coils), the lags from ``1 - kernel`` to ``kernel - 1``,
        divided by the number of kernel positions. Beyond these lags it is exactly zero.
    """
    kernel_y, kernel_x = kernel_yx
    blocks = projector.reshape(kernel_y, kernel_x, coils, kernel_y, kernel_x, coils)
    lags = projector.new_zeros((2 * kernel_y - 1, 2 * kernel_x - 1, coils, coils))
    for i in range(kernel_y):
        for j in range(kernel_x):
            # A row position runs over the whole kernel, its difference to (i, j) from -i to kernel - 1 - i.
            rows = slice(kernel_y - 1 - i, 2 * kernel_y - 1 - i)
            columns = slice(kernel_x - 1 - j, 2 * kernel_x - 1 - j)
            lags[rows, columns] += blocks[:, :, :, i, j]
    return lags / (kernel_y * kernel_x)
