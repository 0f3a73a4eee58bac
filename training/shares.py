"""The gradient of a batch as a sum over its scans, the same whoever computes which.

The random numbers of a scan (smoothing noise, jitter, attacks) are drawn after seeding with (seed, stage, update, position in the
batch), each scan passes the network alone, and what belongs to the batch is a mean over its scans. Sums run in double precision,
where those of a few single precision numbers are exact: they do not depend on who added what first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from smug_recon.training.batches import Batch
from smug_recon.training.distributed import Team

Loss = Callable[[Batch], tuple[Tensor, float]]


def seed_at(*numbers: int) -> int:
    """Return the seed that belongs to (seed, stage, update, position)."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def share_gradients(
    network: nn.Module,
    loss_of: Loss,
    scans: Sequence[Batch],
    batch: int,
    team: Team,
    place: tuple[int, int, int],
) -> tuple[float, float]:
    """Set the gradients, and running statistics, of a whole batch of which this process has a share; return mean loss and PSNR.

    ``gradient = sum over all scans of d loss(scan) / batch``; running statistics (batch normalisation) begin with the same values
    at every scan and become the mean of what the scans make of them.

    Args:
        network: whose gradients are wanted. loss_of: loss and PSNR of a batch of one. scans: this process's, every
            ``team.size``-th beginning with ``team.rank``. batch: scans of the whole team. place: seed, stage and update.
    """
    learned = [value for value in network.parameters() if value.requires_grad]
    kept = list(network.buffers())
    before = [value.clone() for value in kept]
    device = learned[0].device
    total = torch.zeros(
        sum(value.numel() for value in [*learned, *kept]) + 2, dtype=torch.float64, device=device
    )
    for number, scan in enumerate(scans):
        torch.manual_seed(seed_at(*place, team.rank + number * team.size))
        for value, old in zip(kept, before, strict=True):
            value.copy_(old)
        network.zero_grad(set_to_none=True)
        loss, psnr = loss_of(scan)
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [torch.zeros_like(value) if value.grad is None else value.grad for value in learned]
        figures = torch.tensor([float(loss.detach()), psnr], dtype=torch.float64, device=device)
        total += torch.cat([*(value.double().flatten() for value in [*gradients, *kept]), figures])
    team.sum(total)
    total /= batch
    parts = total.split([*(value.numel() for value in [*learned, *kept]), 2])
    for value, part in zip(learned, parts, strict=False):
        value.grad = part.view_as(value).to(value.dtype)
    for value, part in zip(kept, parts[len(learned) :], strict=False):
        value.copy_((part if value.is_floating_point() else part.round()).view_as(value))
    loss_mean, psnr_mean = parts[-1].tolist()
    return loss_mean, psnr_mean
