"""Coil maps while the rest of the slice arrives: nothing that is known already is left for after the last line.

    lines ──▶ gather ──▶ ... ──▶ coil maps ──▶
                └─ calibration lines ─▶ ESPIRiT ─┘

As soon as the lines about the k-space centre stop growing, the maps are made of them in a thread of its own, by the same
stages. They are taken only if the calibration block of the complete slice is bit for bit the one they were made of: the pixels
depend on the data alone, never on who was faster. Otherwise the maps are made in their turn, as they always were.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from smug_recon.gadgets.flow.items import Slice, SliceKey
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.maps.aside import Aside
from smug_recon.gadgets.maps.block_maps import BlockMaps, centre_block, maps_of_block
from smug_recon.gadgets.readouts.assemble import Lines, assemble
from smug_recon.gadgets.readouts.noise_scan import NoiseScan
from smug_recon.gadgets.readouts.prewhiten import prewhiten

log = logging.getLogger(__name__)

EVERY = 4
"""Lines of a slice from one look at its centre to the next."""
AHEAD_BYTES = 128 << 20
"""Memory of the maps that may wait for their slices; the maps of further slices are made in their turn."""


@dataclass(frozen=True)
class _Made:
    block_cyx: Tensor
    whitened: bool
    maps: BlockMaps


class MapsAhead:
    """The maps under way, by slice; ``noise`` is the noise scan of the stream, ``taken`` counts the maps that were of use."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.taken = plan, 0
        self.noise: NoiseScan | None = None
        self._jobs: dict[SliceKey, Future[_Made | None]] = {}
        self._seen: dict[SliceKey, tuple[int, int]] = {}
        self._aside = Aside("coil maps")
        self._wanted = (
            plan.lines_z == 1
            and plan.averages == 1
            and plan.calibration != "external"  # attached to complete slices only
            and plan.pipeline.coil_compression.method == "none"  # its matrix needs the complete slice
        )
        self._preview: tuple[int, NoiseScan] | None = None

    def curious(self, lines: int) -> bool:
        """Whether to look at a slice of so many lines."""
        return self._wanted and lines % EVERY == 0

    def look(self, key: SliceKey, imaging: Lines, calibration: Lines | None) -> None:
        """See whether the calibration lines of a slice are complete by all appearance, and begin with its maps."""
        if not self._wanted or self.noise is None or key in self._jobs:
            return
        rows, settings = self._rows(calibration or imaging), self.plan.pipeline.coil_maps
        before = self._seen.get(key)
        self._seen[key] = rows
        width = rows[1] - rows[0]
        if width < settings.kernel + 2 or (width < settings.calibration_width and rows != before):
            return
        first = next(iter(imaging.values()))[0]
        maps_bytes = first.data_cx.nbytes * self.plan.lines_y
        if (len(self._jobs) + 1) * maps_bytes > AHEAD_BYTES:
            return
        near = {row: list(imaging[row]) for row in range(*rows) if row in imaging} or {
            row: list(readouts) for row, readouts in imaging.items()
        }
        apart = {row: list(readouts) for row, readouts in calibration.items()} if calibration else None
        work = partial(self._make, key, near, apart, self._noise_so_far())
        self._jobs[key] = self._aside.submit(work)

    def take(self, item: Slice, block_cyx: Tensor) -> BlockMaps | None:
        """Return the maps of a complete slice if they were made of this very block; None: make them now."""
        self._seen.pop(item.key, None)
        job = self._jobs.pop(item.key, None)
        if job is None or job.cancel():
            return None
        made = job.result()
        if (
            made is None
            or made.whitened != item.whitened
            or made.maps.maps_cyx.shape != item.kspace_cyx.shape
        ):
            return None
        if not torch.equal(made.block_cyx, block_cyx):
            log.info("%s: the calibration lines were not complete when they seemed to be", item.key)
            return None
        self.taken += 1
        return made.maps

    def close(self) -> None:
        """Let go of what nobody will ask for."""
        self._jobs.clear()
        self._aside.close()

    def _rows(self, lines: Lines) -> tuple[int, int]:
        """The contiguous rows about the k-space centre that are there, no more than the maps can use."""
        centre, width = self.plan.lines_y // 2, self.plan.pipeline.coil_maps.calibration_width
        start = stop = centre
        while start - 1 in lines and start > centre - width // 2:
            start -= 1
        while stop in lines and stop < centre - width // 2 + width:
            stop += 1
        return (start, stop) if centre in lines else (centre, centre)

    def _noise_so_far(self) -> NoiseScan:
        """The noise scan as it is known now, made once for all slices as long as nothing is added to it."""
        assert self.noise is not None
        count = self.noise.count
        if self._preview is None or self._preview[0] != count:
            self._preview = count, self.noise.preview()
        return self._preview[1]

    def _make(
        self, key: SliceKey, imaging: Lines, calibration: Lines | None, noise: NoiseScan
    ) -> _Made | None:
        try:
            item = assemble(key, imaging, calibration, self.plan)
            (item,) = prewhiten([item], noise, self.plan)
            block_cyx = centre_block(item, self.plan)
            if block_cyx is None:
                return None
            maps = maps_of_block(block_cyx, self.plan.image_yx, item.whitened, self.plan.pipeline.coil_maps)
            return _Made(block_cyx, item.whitened, maps)
        except Exception as error:  # what is wrong is said when the maps are made in their turn
            log.debug("no coil maps ahead of %s: %s", key, type(error).__name__)
            return None
