"""Lines flagged for surface coil correction in a scan that has no others are its image lines.

Siemens marks lines for "raw data correction" with a bit (MDH bit 10) that ``siemens_to_ismrmrd`` turns into
ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA; with that correction on, every line of a scan carries it. So such lines
are held back until the first line without the flag shows that they are extra, or the stream has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import ismrmrd
import numpy as np

from smug_recon.gadgets.flow.items import NOISE, flag_bit, not_imaging
from smug_recon.gadgets.flow.timing import Report

SURFACE_COIL = flag_bit(ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA)
SAID = "every line is flagged for surface coil correction: they are taken as the image lines"


def unflag_if_all(items: Iterable[Any], report: Report) -> Iterator[Any]:
    """Pass all items on in their order; where all lines of the stream carry the flag it is removed from them."""
    held: list[Any] = []
    decided = False
    for item in items:
        if not decided and isinstance(item, ismrmrd.Acquisition) and not_imaging(item) is None:
            decided = not item.flags & NOISE
        if not decided and (held or is_surface_coil(item)):
            held.append(item)
            continue
        yield from held
        held = []
        yield item
    if held and not decided:
        report.warn(SAID)
        for item in held:
            if is_surface_coil(item):
                item.clearFlag(ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA)
            yield item


def is_surface_coil(item: Any) -> bool:
    """Whether a readout carries this flag."""
    return isinstance(item, ismrmrd.Acquisition) and bool(item.flags & SURFACE_COIL)


def heads_unflagged_if_all(heads: np.ndarray, foreign: np.ndarray) -> np.ndarray:
    """The same for a table of acquisition headers; ``foreign`` are those that carry no image line."""
    flagged = heads["flags"] & np.uint64(SURFACE_COIL) != 0
    if not flagged.any() or not foreign.all():
        return heads
    heads = heads.copy()
    heads["flags"] &= ~np.uint64(SURFACE_COIL)
    return heads
