"""A slice whose lines are all there becomes one block of hybrid space: cheap to hand from thread to thread before, heavy after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from smug_recon.gadgets.flow.items import Slice, SliceKey
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.readouts.assemble import Lines, assemble
from smug_recon.gadgets.readouts.completeness import Completeness
from smug_recon.gadgets.readouts.volume import Grid, assemble_volume


@dataclass(frozen=True)
class CompleteLines:
    """All lines of one slice, or of one slab with its block and grid."""

    key: SliceKey
    imaging: Lines
    calibration: Lines | None
    block_cnx: Tensor | None = None
    grid: Grid | None = None

    def assemble(self, plan: Plan) -> Slice:
        """Return the slice or the volume; DataError as :func:`smug_recon.gadgets.readouts.assemble.assemble`."""
        if self.grid is not None and self.block_cnx is not None:
            return assemble_volume(self.key, self.imaging, self.calibration, self.block_cnx, self.grid)
        return assemble(self.key, self.imaging, self.calibration, plan)


def assemble_slices(items: Iterable[Any], plan: Plan, report: Report) -> Iterator[Any]:
    """Yield a :class:`Slice` for everything that is complete; foreign items pass through. DataError."""
    completeness = Completeness(report)
    for item in items:
        if isinstance(item, CompleteLines):
            item = item.assemble(plan)
            completeness.look(item)
            for text in item.notes:
                report.warn(text)
        yield item
    completeness.finish()
