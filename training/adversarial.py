"""What training adds to the data to harden a network: Gaussian jitter, or the worst perturbation of k-space or of the start."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from smug_recon.network.unrolling import Unrolled
from smug_recon.physics import sense_adjoint
from smug_recon.training.ball import Ball, per_slice
from smug_recon.training.batches import Batch
from smug_recon.training.config import AttackConfig


def _sampled_noise(batch: Batch) -> Tensor:
    """Unit Gaussian noise on real and imaginary part of every sample of a coil in use."""
    noise = torch.view_as_complex(torch.randn([*batch.kspace_bcyx.shape, 2], device=batch.kspace_bcyx.device))
    used = batch.maps_bcyx.abs().amax([2, 3], keepdim=True) > 0
    return noise * used * batch.mask_by[:, None, :, None]


def jittered(batch: Batch, deviation: float) -> Tensor:
    """Return the k-space of a batch with Gaussian noise of ``deviation`` on real and imaginary part of every sample."""
    return batch.kspace_bcyx + deviation * _sampled_noise(batch)


def drawn(attacks: Sequence[AttackConfig | None]) -> AttackConfig | None:
    """Return the attack that a batch meets: the only one, one of several at random, or none."""
    if len(attacks) < 2:
        return attacks[0] if attacks else None
    return attacks[int(torch.randint(len(attacks), ()))]


def _worst(
    reconstruct: Callable[[Tensor], Tensor],
    noise: Tensor,
    support: Tensor,
    batch: Batch,
    attack: AttackConfig,
) -> Tensor:
    """Return the perturbation that projected gradient ascent finds, beginning with unit ``noise`` times each slice's own radius."""
    radius_b = attack.strength * torch.rand(noise.shape[0], device=noise.device)
    ball = Ball(attack.norm, radius_b, support)
    change = ball.project(noise * per_slice(radius_b, noise))
    for _ in range(attack.steps):
        change = change.detach().requires_grad_(True)
        error = (reconstruct(change) - batch.target_byx).abs().square().sum()
        (gradient,) = torch.autograd.grad(error, change)
        change = ball.step(change.detach(), gradient, 2.0 / attack.steps)
    return change.detach()


def attacked(network: Unrolled, batch: Batch, attack: AttackConfig, samples: int) -> Tensor:
    """Return the k-space of a batch with the perturbation that projected gradient ascent finds against the network (Madry 2018,
    arXiv 1706.06083), differentiated through A^H y and the data consistency solves; smoothing noise is drawn anew in every step.
    """

    def reconstruct(change: Tensor) -> Tensor:
        adjoint_byx = sense_adjoint(batch.kspace_bcyx + change, batch.maps_bcyx, batch.mask_by)
        return network.unroll(adjoint_byx, batch.maps_bcyx, batch.mask_by, batch.level_b, -1, samples)[0]

    support = batch.mask_by[:, None, :, None]
    return batch.kspace_bcyx + _worst(reconstruct, _sampled_noise(batch), support, batch, attack)


def worst_start(
    network: Unrolled, adjoint_byx: Tensor, batch: Batch, attack: AttackConfig, samples: int
) -> Tensor:
    """Return the start x_0 near A^H y from which the network goes most astray; data consistency keeps the measured data.

    With smoothing copies this is adversarial training of the smoothed network (Salman 2019, arXiv 1906.04584).
    """

    def reconstruct(change: Tensor) -> Tensor:
        return network.run_steps(
            adjoint_byx + change,
            adjoint_byx,
            batch.maps_bcyx,
            batch.mask_by,
            batch.level_b,
            -1,
            samples,
        )[0]

    noise = torch.view_as_complex(torch.randn([*adjoint_byx.shape, 2], device=adjoint_byx.device))
    return adjoint_byx + _worst(reconstruct, noise, torch.ones_like(noise.real), batch, attack)
