"""How far an image is from its target."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.nn import functional

from smug_recon.training.psnr import psnr_db

HFEN_SIGMA_PX = 1.5
HFEN_SIDE_PX = 15


def nrmse(image_byx: Tensor, target_byx: Tensor) -> Tensor:
    """Return ``|x - t|_2 / |t|_2`` of each complex slice, shape (b,)."""
    error = (image_byx - target_byx).abs().square().sum([1, 2])
    return (error / target_byx.abs().square().sum([1, 2]).clamp_min(1e-20)).sqrt()


def ssim(image_byx: Tensor, target_byx: Tensor) -> Tensor:
    """Return the SSIM of the magnitudes with the target's peak as range (Wang 2004, DOI 10.1109/TIP.2003.819861), shape (b,).

    Real and imaginary parts as channels, as some public code takes it, flatter; the field compares magnitudes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchmetrics imports what it may not need
        from torchmetrics.functional.image import structural_similarity_index_measure
    values = [
        structural_similarity_index_measure(
            x.abs()[None, None], t.abs()[None, None], data_range=float(t.abs().amax()) or 1.0
        )
        for x, t in zip(image_byx, target_byx, strict=True)
    ]
    return torch.stack([torch.as_tensor(value) for value in values])


def log_kernel(sigma_px: float = HFEN_SIGMA_PX, side_px: int = HFEN_SIDE_PX) -> Tensor:
    """Return a rotationally symmetric Laplacian-of-Gaussian filter of zero sum, ``(side, side)``."""
    r = torch.arange(side_px, dtype=torch.float64) - side_px // 2
    square = r[:, None].square() + r[None].square()
    gauss = torch.exp(-square / (2 * sigma_px**2))
    kernel = (square - 2 * sigma_px**2) / sigma_px**4 * gauss / gauss.sum()
    return (kernel - kernel.mean()).float()


def hfen(image_byx: Tensor, target_byx: Tensor) -> Tensor:
    """Return ``|LoG(|x|) - LoG(|t|)|_2 / |LoG(|t|)|_2`` (Ravishankar 2011, DOI 10.1109/TMI.2010.2090538), shape (b,)."""
    kernel = log_kernel().to(image_byx.device)[None, None]

    def edges(magnitude_byx: Tensor) -> Tensor:
        return functional.conv2d(magnitude_byx[:, None], kernel, padding=HFEN_SIDE_PX // 2)[:, 0]

    wanted = edges(target_byx.abs())
    error = (edges(image_byx.abs()) - wanted).square().sum([1, 2])
    return (error / wanted.square().sum([1, 2]).clamp_min(1e-20)).sqrt()


def scores(image_byx: Tensor, target_byx: Tensor) -> dict[str, float]:
    """Return every metric of one slice by name: ``psnr_db``, ``ssim``, ``nrmse``, ``hfen``."""
    return {
        "psnr_db": float(psnr_db(image_byx, target_byx)),
        "ssim": float(ssim(image_byx, target_byx)),
        "nrmse": float(nrmse(image_byx, target_byx)),
        "hfen": float(hfen(image_byx, target_byx)),
    }
