"""Coil sensitivity maps from the calibration lines: ESPIRiT (Uecker et al. 2014, DOI 10.1002/mrm.24751)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from smug_recon.calibration.eigenmaps import dominant_eigenvectors, image_space_gram
from smug_recon.calibration.kernels import lag_sums, signal_projector
from smug_recon.calibration.reference import principal_coil, reference_coil
from smug_recon.calibration.resample import resample
from smug_recon.errors import DataError


def _scaled(calibration_cyx: Tensor, kernel: int) -> tuple[Tensor, float]:
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
    peak = float(calibration_cyx.abs().amax()) or 1.0
    return (calibration_cyx / peak).to(torch.complex64), peak


@dataclass(frozen=True)
class MapSpace:
    """What a calibration block says about the maps: everything but the solution at every point.

    ``lags_yxcc`` are the lags of the image-space Gram matrix, ``start_c`` is the first principal component of
    the coils, ``noise_level`` the known noise (0: unknown).
    """

    lags_yxcc: Tensor
    start_c: Tensor
    noise_level: float

    @property
    def coils(self) -> int:
        """Number of receive channels."""
        return int(self.lags_yxcc.shape[-1])


def map_space(
    calibration_cyx: Tensor, *, kernel: int = 6, threshold: float = 0.02, noise_level: float = 0.0
) -> MapSpace:
    """Find the signal space of a calibration block; arguments and errors as in :func:`espirit_maps`."""
    calibration_cyx, peak = _scaled(calibration_cyx, kernel)
    kernel_yx = (kernel, kernel)
    projector = signal_projector(calibration_cyx, kernel_yx, threshold, noise_level / peak)
    lags_yxcc = lag_sums(projector, kernel_yx, calibration_cyx.shape[0])
    return MapSpace(lags_yxcc, principal_coil(calibration_cyx), noise_level)


def espirit_maps(
    calibration_cyx: Tensor,
    shape_yx: tuple[int, int],
    *,
    kernel: int = 6,
    threshold: float = 0.02,
    noise_level: float = 0.0,
    crop: float = 0.95,
    grid: int = 64,
    iterations: int = 96,
) -> tuple[Tensor, Tensor]:
    """Estimate unit-norm coil maps: ``G(r) s(r) = lambda(r) s(r)``, lambda near 1 where there is signal.

    The signal space of the calibration matrix comes from an eigendecomposition. Its image-space Gram matrix
    G has lags below the kernel size only, so a small grid holds it without loss; the dominant eigenvectors s
    are found there. They are interpolated as a column ``s s^H u`` of their projector, which is smooth
    whatever phase each s came with.

    Args:
        calibration_cyx: fully sampled block of k-space (ky, kx). Where it lies does not matter (only
            differences of positions enter), but the centre has the signal.
        shape_yx: image matrix of the maps, the same field of view as the block.
        kernel: width of the kernel in samples. threshold: smallest kept singular value over the largest one.
        noise_level: standard deviation of a sample's complex noise if known, 1 after whitening; singular
            values that noise alone can reach are not kept either.
        crop: the maps are zero where the eigenvalue is not above it. grid: points a side of the small grid.
        iterations: power iterations at every grid point.

    Returns:
        ``maps_cyx``, complex64, unit norm over the coils or all zero, in the phase of the reference
        combination u of coils (:func:`smug_recon.calibration.reference.reference_coil`), so ``u^H s`` is
        real and positive; ``eigenvalue_yx``, float32, 0 to 1, not cropped. An all-zero block gives all-zero
        maps and eigenvalues.

    Raises:
        DataError: the block is smaller than the kernel, or holds values that are not finite.
    """
    space = map_space(calibration_cyx, kernel=kernel, threshold=threshold, noise_level=noise_level)
    return first_set(space, shape_yx, crop=crop, grid=grid, iterations=iterations)


def first_set(
    space: MapSpace, shape_yx: tuple[int, int], *, crop: float = 0.95, grid: int = 64, iterations: int = 96
) -> tuple[Tensor, Tensor]:
    """Return maps and eigenvalues of a known space (see :func:`espirit_maps`)."""
    grid_yx = (min(grid, shape_yx[0]), min(grid, shape_yx[1]))
    vectors_yxc, eigenvalue_yx = dominant_eigenvectors(image_space_gram(space.lags_yxcc, grid_yx), iterations)
    sparse_yxc, weights_yx = vectors_yxc[::2, ::2], (eigenvalue_yx[::2, ::2] > crop).to(torch.float32)
    reference_c = reference_coil(sparse_yxc.flatten(0, 1), weights_yx.flatten(), space.start_c)
    overlap_yx1 = (vectors_yxc.conj() @ reference_c)[..., None]
    maps_cyx = resample((vectors_yxc * overlap_yx1).permute(2, 0, 1), shape_yx)
    eigenvalue_yx = resample(eigenvalue_yx, shape_yx).clamp(0, 1)
    norm_yx = (maps_cyx.real.square() + maps_cyx.imag.square()).sum(0).sqrt()
    inside_yx = (eigenvalue_yx > crop) & (norm_yx > 0)
    scale_yx = torch.where(inside_yx, 1 / torch.where(inside_yx, norm_yx, 1.0), 0.0)
    return maps_cyx * scale_yx, eigenvalue_yx
