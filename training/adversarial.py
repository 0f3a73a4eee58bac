"""What training adds to the measured k-space to harden a network: Gaussian jitter, or the worst perturbation of a given size."""

from __future__ import annotations

import torch
from torch import Tensor

from smug_recon.network.unrolling import Unrolled
from smug_recon.physics import sense_adjoint
from smug_recon.training.batches import Batch
from smug_recon.training.config import AttackConfig, StageConfig


def _sampled_noise(batch: Batch) -> Tensor:
    """Unit Gaussian noise on real and imaginary part of every sample of a coil in use."""
    noise = torch.view_as_complex(torch.randn([*batch.kspace_bcyx.shape, 2], device=batch.kspace_bcyx.device))
    used = batch.maps_bcyx.abs().amax([2, 3], keepdim=True) > 0
    return noise * used * batch.mask_by[:, None, :, None]


def jittered(batch: Batch, deviation: float) -> Tensor:
    """Return the k-space of a batch with Gaussian noise of ``deviation`` on real and imaginary part of every sample."""
    return batch.kspace_bcyx + deviation * _sampled_noise(batch)


def project(change_bcyx: Tensor, bound_b: Tensor, norm: str) -> Tensor:
    """Return the point of each slice's ball nearest to a perturbation: |Re|, |Im| <= bound, or l2 norm <= bound."""
    bound = bound_b[:, None, None, None]
    if norm == "linf":
        parts = torch.view_as_real(change_bcyx)
        return torch.view_as_complex(
            torch.minimum(torch.maximum(parts, -bound[..., None]), bound[..., None]).contiguous()
        )
    size = change_bcyx.abs().square().sum([1, 2, 3], keepdim=True).sqrt()
    return change_bcyx * (bound / size.clamp_min(1e-20)).clamp_max(1.0)


def _ascent(gradient: Tensor, bound_b: Tensor, attack: AttackConfig) -> Tensor:
    """A step of 2 / steps times the bound: along the signs (linf), or along the gradient (l2)."""
    size_b = 2.0 / attack.steps * bound_b
    if attack.norm == "linf":
        return (
            torch.view_as_complex(torch.view_as_real(gradient).sign().contiguous())
            * size_b[:, None, None, None]
        )
    length = gradient.abs().square().sum([1, 2, 3], keepdim=True).sqrt()
    return gradient / length.clamp_min(1e-20) * size_b[:, None, None, None]


def attacked(network: Unrolled, batch: Batch, stage: StageConfig) -> Tensor:
    """Return the k-space of a batch with the perturbation that projected gradient ascent finds against the network (Madry 2018,
    arXiv 1706.06083), differentiated through A^H y and the data consistency solves; smoothing noise is drawn anew in every step.
    """
    attack = stage.attack
    assert attack is not None
    bound_b = attack.strength * torch.rand(batch.kspace_bcyx.shape[0], device=batch.kspace_bcyx.device)
    change = project(_sampled_noise(batch) * bound_b[:, None, None, None], bound_b, attack.norm)
    for _ in range(attack.steps):
        change = change.detach().requires_grad_(True)
        adjoint_byx = sense_adjoint(batch.kspace_bcyx + change, batch.maps_bcyx, batch.mask_by)
        image_byx, _, _ = network.unroll(
            adjoint_byx, batch.maps_bcyx, batch.mask_by, batch.level_b, -1, stage.samples
        )
        error = (image_byx - batch.target_byx).abs().square().sum()
        (gradient,) = torch.autograd.grad(error, change)
        gradient = gradient * batch.mask_by[:, None, :, None]
        change = project(change.detach() + _ascent(gradient, bound_b, attack), bound_b, attack.norm)
    return (batch.kspace_bcyx + change).detach()
