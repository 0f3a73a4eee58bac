"""The unrolled-stability (UStab) loss of SMUG (arXiv 2312.07784, section III-B) and the denoising loss of its pre-training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from smug_recon.network.unrolling import Unrolled, to_channels
from smug_recon.training.batches import Batch
from smug_recon.training.config import StageConfig


def _mse(estimate: Tensor, target: Tensor, root: bool) -> Tensor:
    """Mean squared error, or the mean over slices of its root: then clean and noisy slices weigh alike."""
    error = (estimate.float() - target).square().flatten(-3).mean(-1)
    return (error + 1e-10).sqrt().mean() if root else error.mean()


def denoising_loss(denoiser: nn.Module, batch: Batch, sigma: float, root: bool) -> Tensor:
    """Return ``MSE(D(t + nu), t)``, nu Gaussian of ``sigma`` on real and imaginary part."""
    target = to_channels(batch.target_byx)
    level_b = torch.full(
        [target.shape[0]], float(torch.log10(torch.tensor(sigma * 2**0.5)) + 2), device=target.device
    )
    return _mse(denoiser(target + sigma * torch.randn_like(target), level_b), target, root)


def ustab_loss(
    network: Unrolled, adjoint_byx: Tensor, batch: Batch, stage: StageConfig, start_byx: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return ``ustab * sum_n mean_i MSE(D(x_n + e_i), u) / N + final * MSE(x_N, t)`` and the reconstruction x_N.

    The stability target u is the label t, or D(t) (not detached), as in the conference and the journal version. ``samples`` 0
    leaves the smoothing noise out. Without ``root`` and with ``ustab`` = N this is the paper's sum. ``start_byx``: another x_0
    than A^H y.
    """
    target = to_channels(batch.target_byx)
    fixed = (batch.maps_bcyx, batch.mask_by, batch.level_b, -1, stage.samples)
    if start_byx is None:
        image_byx, copies, _ = network.unroll(adjoint_byx, *fixed)
    else:
        image_byx, copies, _ = network.run_steps(start_byx, adjoint_byx, *fixed)
    stable = target
    if stage.target == "denoised-label":
        stable, _ = network.regulariser(target, batch.level_b, -1, 0)
        stable = stable[0].float()
    stability = torch.stack([_mse(step, stable.expand_as(step), stage.root) for step in copies]).mean()
    return stage.ustab * stability + stage.final * _mse(to_channels(image_byx), target, stage.root), image_byx
