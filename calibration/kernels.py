"""From calibration lines to the local subspace of k-space: calibration matrix, its signal space, and that space's lags.

Names as in Uecker et al. 2014 (DOI 10.1002/mrm.24751), with the calibration matrix transposed: its columns are the blocks
``y_c(t + i)``, i over the kernel, of all coils. If the maps s_c hold, every block is a sum of vectors ``s_c(r) exp(-2 pi i i.r)``,
so the projector onto the blocks' signal space leaves these unchanged.
"""

from __future__ import annotations

import torch
from torch import Tensor


def calibration_gram(calibration_cyx: Tensor, kernel_yx: tuple[int, int]) -> Tensor:
    """Return ``sum_t p_t p_t^H`` over all kernel-sized blocks p_t of the calibration region.

    The products of two rows are formed once and shared by all the blocks that contain both rows, so the cost is that of
    ``kernel_y`` rows' matrices instead of ``kernel_y^2 / 2``; the calibration matrix itself is never built.

    Args:
        calibration_cyx: k-space, at least as large as the kernel.
        kernel_yx: size of the blocks (ky, kx).

    Returns:
        Hermitian matrix of ``n = kernel_y * kernel_x * coils`` rows, index order (ky, kx, coil).
    """
    coils, rows, _ = calibration_cyx.shape
    kernel_y, kernel_x = kernel_yx
    blocks_yta = (
        calibration_cyx.unfold(2, kernel_x, 1).permute(1, 2, 3, 0).reshape(rows, -1, kernel_x * coils)
    )
    blocks_yat = blocks_yta.mT.contiguous()
    blocks_yta = blocks_yta.conj().resolve_conj()
    steps, side = rows - kernel_y + 1, kernel_x * coils
    gram = calibration_cyx.new_zeros((kernel_y, side, kernel_y, side))
    for lag in range(kernel_y):
        products = blocks_yat[lag:] @ blocks_yta[: rows - lag]
        window = products[:steps].sum(0)
        for lower in range(kernel_y - lag):
            if lower:
                window = products[lower : lower + steps].sum(0)
            gram[lower + lag, :, lower] = window
            if lag:
                gram[lower, :, lower + lag] = window.mH
    return gram.reshape(kernel_y * side, kernel_y * side)


def signal_projector(gram: Tensor, threshold: float) -> Tensor:
    """Return the projector onto the eigenvectors whose singular value exceeds ``threshold`` times the largest one.

    The singular values of the calibration matrix are the square roots of the eigenvalues of its Gram matrix. An all-zero
    Gram matrix has no signal: its projector is zero.
    """
    peak = gram.diagonal().real.amax()
    scale = torch.where(peak > 0, peak, torch.ones_like(peak))
    energy, vectors = torch.linalg.eigh(gram / scale)
    kept = (energy > threshold**2 * energy[-1]) & (energy > 0)
    signal = vectors[:, kept]
    return signal @ signal.mH


def lag_sums(projector: Tensor, kernel_yx: tuple[int, int], coils: int) -> Tensor:
    """Sum the projector over all pairs of kernel positions with equal difference: the kernels' autocorrelation.

    Returns:
        shape (2 kernel_y - 1, 2 kernel_x - 1, coils, coils), the lags from ``1 - kernel`` to ``kernel - 1``, divided by the
        number of kernel positions. Beyond these lags it is exactly zero.
    """
    kernel_y, kernel_x = kernel_yx
    blocks = projector.reshape(kernel_y, kernel_x, coils, kernel_y, kernel_x, coils)
    lags = projector.new_zeros((2 * kernel_y - 1, 2 * kernel_x - 1, coils, coils))
    for i in range(kernel_y):
        for j in range(kernel_x):
            # The row position runs over the whole kernel, so its difference to (i, j) runs from -i to kernel - 1 - i.
            rows = slice(kernel_y - 1 - i, 2 * kernel_y - 1 - i)
            columns = slice(kernel_x - 1 - j, 2 * kernel_x - 1 - j)
            lags[rows, columns] += blocks[:, :, :, i, j]
    return lags / (kernel_y * kernel_x)
