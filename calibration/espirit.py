"""Coil sensitivity maps by ESPIRiT (Uecker et al. 2014, DOI 10.1002/mrm.24751), from the calibration lines alone."""

from __future__ import annotations

import torch
from torch import Tensor

from smug_recon.calibration.eigenmaps import dominant_eigenvectors, image_space_gram
from smug_recon.calibration.kernels import lag_sums, signal_projector
from smug_recon.calibration.resample import resample
from smug_recon.errors import DataError


def virtual_coils(calibration_cyx: Tensor) -> Tensor:
    """Return the principal coil combinations (c, c), one per column, strongest first: eigenvectors of ``sum_k y(k) y(k)^H``."""
    samples_cn = calibration_cyx.flatten(1)
    _, vectors = torch.linalg.eigh(samples_cn @ samples_cn.mH)
    return vectors.flip(-1)


def _checked(calibration_cyx: Tensor, kernel: int) -> Tensor:
    if calibration_cyx.dim() != 3 or min(calibration_cyx.shape[1:]) < kernel:
        raise DataError(
            f"a calibration block of shape {tuple(calibration_cyx.shape)}",
            f"(coils, ky, kx) with at least {kernel} x {kernel} samples, the size of the ESPIRiT kernel",
            "acquire more calibration lines or choose a smaller kernel",
        )
    if not bool(torch.isfinite(torch.view_as_real(calibration_cyx.resolve_conj())).all()):
        raise DataError(
            "infinite or undefined samples in the calibration block",
            "finite k-space samples",
            "look for a broken receive channel or a damaged raw file",
        )
    return calibration_cyx.to(torch.complex64)


def espirit_maps(
    calibration_cyx: Tensor,
    shape_yx: tuple[int, int],
    *,
    kernel: int = 6,
    threshold: float = 0.02,
    crop: float = 0.9,
    grid: int = 64,
    iterations: int = 40,
) -> tuple[Tensor, Tensor]:
    """Estimate unit-norm coil maps as the eigenvectors of the local k-space subspace, ``G(r) s(r) = lambda(r) s(r)``, lambda near 1.

    The subspace is found by an eigendecomposition of the calibration matrix, its image-space Gram matrix G is evaluated on a
    small grid (its lags end at the kernel size, so the grid loses nothing), the dominant eigenvectors are found there and then
    interpolated as columns of the projector ``s s^H``, which have no phase jumps.

    Args:
        calibration_cyx: centred, fully sampled block of k-space (ky, kx), sample ``n // 2`` is the k-space centre.
        shape_yx: image matrix of the maps, the same field of view as the block.
        kernel: width of the kernel in samples. threshold: smallest kept singular value over the largest one.
        crop: maps are zero where the eigenvalue is not above it. grid: points a side of the small grid.
        iterations: power iterations at every grid point.

    Returns:
        ``maps_cyx``, complex64, unit norm over the coils or all zero, with the phase of the dominant virtual coil (the first
        principal component of the calibration data) removed; ``eigenvalue_yx``, float32, 0 to 1, not cropped. An all-zero
        block gives all-zero maps and eigenvalues.

    Raises:
        DataError: the block is smaller than the kernel, or holds values that are not finite.
    """
    calibration_cyx = _checked(calibration_cyx, kernel)
    kernel_yx = (kernel, kernel)
    projector = signal_projector(calibration_cyx, kernel_yx, threshold)
    lags = lag_sums(projector, kernel_yx, calibration_cyx.shape[0])
    grid_yx = (min(grid, shape_yx[0]), min(grid, shape_yx[1]))
    vectors_yxc, eigenvalue_yx = dominant_eigenvectors(image_space_gram(lags, grid_yx), iterations)
    reference_c = virtual_coils(calibration_cyx)[:, 0]
    overlap_yx1 = (vectors_yxc.conj() @ reference_c)[..., None]
    maps_cyx = resample((vectors_yxc * overlap_yx1).permute(2, 0, 1), shape_yx)
    eigenvalue_yx = resample(eigenvalue_yx, shape_yx).clamp(0, 1)
    norm_yx = torch.linalg.vector_norm(maps_cyx, dim=0)
    inside_yx = (eigenvalue_yx > crop) & (norm_yx > 0)
    scale_yx = torch.where(inside_yx, 1 / torch.where(inside_yx, norm_yx, 1.0), 0.0)
    return maps_cyx * scale_yx, eigenvalue_yx
