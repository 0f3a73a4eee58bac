"""Whoever wants to see what a stream finds on its way: coil maps, noise, masks, where the time goes.

The stages tell the observer of their :class:`~smug_recon.gadgets.flow.timing.Report`. The one here looks at nothing and costs
nothing; the one that keeps a page for some slices is :class:`smug_recon.gadgets.flow.notebook.Notebook`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from smug_recon.gadgets.flow.items import Slice, SliceKey, Volume


class Observer:
    """Sees everything and keeps nothing. Whatever an observer does, it changes no item and raises nothing."""

    def booked(self, stage: str, began: float, ended: float) -> None:
        """A stage has run from ``began`` to ``ended``, in seconds of ``time.perf_counter``."""

    def arriving(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items of the host, as they are read."""
        return iter(items)

    def noise(self, covariance_cc: Tensor, samples: int, dwell_us: float) -> None:
        """The noise covariance of the receive channels, from so many samples."""

    def channels(self, item: Slice) -> None:
        """A gathered slice, silent channels left out, not yet whitened."""

    def coil_maps(self, item: Slice, eigenvalue_yx: Tensor | None) -> None:
        """A slice with its coil maps, and the largest eigenvalue of ESPIRiT where there is one."""

    def slab(self, item: Volume, lines_y: int) -> None:
        """A slab sampled in (ky, kz), before it is reconstructed position by position."""

    def wants(self, key: SliceKey, partition: int = 0) -> bool:
        """Whether the conventional image and the uncertainty of a slice are worth being made for the observer alone."""
        return False

    def finished(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items with the reconstructions as they will be scaled; those that were made for the observer stay here."""
        return iter(items)

    def end(self) -> None:
        """The stream is over."""


NOBODY = Observer()
VARIABLE = "SMUG_RECON_NOTEBOOK"
"""Environment variable that names the file a notebook is written to."""


def observer_of_environment() -> Observer:
    """A notebook if the environment names a file for it, else nobody."""
    target = os.environ.get(VARIABLE)
    if not target:
        return NOBODY
    from smug_recon.gadgets.flow.notebook import Notebook  # it needs torch, which a scanner does not wait for

    return Notebook(Path(target))
