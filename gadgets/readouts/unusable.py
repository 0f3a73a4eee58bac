"""Lines that cannot be used as they came: samples that are NaN or infinite, nothing but zeros, twice under equal counters.

A line with such samples is taken as not acquired: one bad line is no reason to lose a scan, and a measured zero would be a lie.
Whatever is left out, or averaged though it should not be there twice, is said on the image.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import Readout, SliceKey

DIFFER = 0.5
"""Distance of two lines relative to the larger of them above which they are not one line with two noises."""


def leave_out_unusable(
    key: SliceKey, kspace_cyx: Tensor, mask_y: Tensor, lines: dict[int, list[Readout]]
) -> list[str]:
    """Clear the rows that hold NaN, Inf or nothing but zeros, in block and mask; what there is to say about it.

    A row is kept if some of its repeats are finite. A slice that is zero altogether stays as it is: it has no signal.

    Raises:
        DataError: no line is left.
    """
    notes = []
    energy_y = _energies(kspace_cyx, mask_y)
    bad = torch.nonzero(mask_y & ~torch.isfinite(energy_y)).flatten().tolist()
    found = [row for row in bad if not _finite(kspace_cyx[:, row])]  # a sum may overflow where no sample does
    for row in found:
        good = [readout.data_cx for readout in lines[row] if _finite(readout.data_cx)]
        mask_y[row] = bool(good)
        kspace_cyx[:, row] = sum(good[1:], good[0].clone()) / len(good) if good else 0
    if found:
        notes.append(f"WARNING: {_lines(len(found))} with samples that are NaN or infinite: left out")
    if found and not bool(mask_y.any()):
        raise DataError(
            f"samples that are NaN or infinite in every line of {key}",
            "finite samples",
            "repair the raw data or the converter",
        )
    empty_y = mask_y & (energy_y == 0)
    for row in torch.nonzero(empty_y).flatten().tolist():
        empty_y[row] = not bool(kspace_cyx[:, row].any())  # a square may vanish where no sample does
    count = int(empty_y.sum())
    if 0 < count < int(mask_y.sum()):
        mask_y[empty_y] = False
        notes.append(f"WARNING: {_lines(count)} of nothing but zeros: taken as not acquired")
    return notes


def said_of_doubles(lines: dict[int, list[Readout]]) -> list[str]:
    """What there is to say about lines that came more than once under the same average and segment."""
    doubles = differ = 0
    for readouts in lines.values():
        if len(readouts) < 2:
            continue
        first: dict[tuple[int, int], Readout] = {}
        for readout in readouts:
            other = first.setdefault((readout.head.idx.average, readout.head.idx.segment), readout)
            if other is not readout:
                doubles += 1
                size = max(float(other.data_cx.norm()), float(readout.data_cx.norm()))
                differ += float((other.data_cx - readout.data_cx).norm()) > DIFFER * size
    if not doubles:
        return []
    contradiction = f", {differ} of them with other data" if differ else ""
    return [f"WARNING: {_lines(doubles)} came again under the same counters{contradiction}: averaged"]


def _energies(kspace_cyx: Tensor, mask_y: Tensor) -> Tensor:
    """Sums of squares of the sampled rows, 0 elsewhere: one pass, nothing copied."""
    samples_cyx = torch.view_as_real(kspace_cyx).flatten(2).numpy()
    energy_y = np.zeros(len(mask_y), np.float32)
    with np.errstate(all="ignore"):
        for row in torch.nonzero(mask_y).flatten().tolist():
            energy_y[row] = np.einsum("cx,cx->", samples_cyx[:, row], samples_cyx[:, row])
    return torch.from_numpy(energy_y)


def _lines(count: int) -> str:
    return f"{count} line{'s' * (count > 1)}"


def _finite(data: Tensor) -> bool:
    return bool(torch.isfinite(torch.view_as_real(data)).all())
