"""Batches of scans, drawn by number in the background."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from smug_recon.training.scans import Scan
from smug_recon.training.sources import Source

T = TypeVar("T")


@dataclass
class Batch:
    """Scans of one size, coils padded with zeros to the largest array."""

    kspace_bcyx: Tensor
    maps_bcyx: Tensor
    mask_by: Tensor
    target_byx: Tensor
    level_b: Tensor

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def collate(scans: list[Scan]) -> Batch:
    """Stack scans of equal size; missing coils and columns become zeros, which change nothing in A."""
    coils = max(scan.maps_cyx.shape[0] for scan in scans)
    columns = max(scan.maps_cyx.shape[2] for scan in scans)

    def pad(tensor: Tensor) -> Tensor:
        sizes = [0, columns - tensor.shape[-1], 0, 0]
        return functional.pad(tensor, [*sizes, 0, coils - tensor.shape[0]] if tensor.dim() == 3 else sizes)

    return Batch(
        torch.stack([pad(scan.kspace_cyx) for scan in scans]),
        torch.stack([pad(scan.maps_cyx) for scan in scans]),
        torch.stack([scan.mask_y for scan in scans]),
        torch.stack([pad(scan.target_yx) for scan in scans]),
        torch.stack([scan.level for scan in scans]),
    )


class ScanBatches(Dataset[Batch]):
    """Batch ``k`` of a seed is always the same batch; its number of phase encode lines is drawn from the source's.

    A process of a team takes every ``team``-th scan of it, beginning with its own ``rank``.
    """

    def __init__(self, source: Source, seed: int, size: int, rank: int = 0, team: int = 1) -> None:
        self.source, self.seed, self.size = source, seed, size
        self.rank, self.team = rank, team

    def __getitem__(self, index: int) -> Batch:
        return collate(self.scans(index))

    def scans(self, index: int) -> list[Scan]:
        """Return this process's scans of batch ``index``; nothing of the others is read."""
        lines_y = int(np.random.default_rng([self.seed, 1, index]).choice(self.source.lines_y))
        numbers = range(index * self.size + self.rank, (index + 1) * self.size, self.team)
        return [self.source.draw(self.seed, number, lines_y) for number in numbers]


class ScanShares(Dataset[list[Batch]]):
    """The scans of :class:`ScanBatches` one by one, each as large as it is; none where the team is larger than the batch."""

    def __init__(self, batches: ScanBatches) -> None:
        self.batches = batches

    def __getitem__(self, index: int) -> list[Batch]:
        return [collate([scan]) for scan in self.batches.scans(index)]


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def stream(batches: Dataset[T], start: int, stop: int, workers: int) -> Iterator[T]:
    """Yield batches ``start`` to ``stop - 1``, prepared ahead by worker processes."""
    loader: DataLoader[T] = DataLoader(
        batches,
        batch_size=None,
        sampler=range(start, stop),
        num_workers=workers,
        prefetch_factor=6 if workers else None,
        worker_init_fn=_one_thread if workers else None,
    )
    yield from loader
