"""Data parallel training: the processes that ``torchrun`` starts share every batch and average their gradients."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Team:
    """This process's number and how many there are; (0, 1) outside ``torchrun``."""

    rank: int = 0
    size: int = 1

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace every gradient by its mean over the team, in one message."""
        if self.size == 1:
            return
        gradients = [value.grad for value in parameters if value.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def sum(self, values: Tensor) -> None:
        """Add up a tensor over the team, in place."""
        if self.size > 1:
            dist.all_reduce(values)

    def wait(self) -> None:
        """Wait until the whole team has come here, for a day at most: reading raw files takes its time."""
        if self.size > 1:
            dist.barrier(dist.new_group(backend="gloo", timeout=timedelta(days=1)))


def join(device: str) -> Team:
    """Join the team that ``torchrun`` announces in the environment (nccl on GPUs, gloo on CPUs).

    On ``cuda`` each process takes the GPU of its own number on its machine.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Team()
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Team(dist.get_rank(), size)


def leave(team: Team) -> None:
    """Leave the team together: a process that goes first tears the connections from under those still talking."""
    if team.size > 1 and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
