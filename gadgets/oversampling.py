"""Readout transform and oversampling removal: k-space line in, hybrid-space line out, as each readout
arrives.

The k-space centre (``center_sample``) is put at ``encoded_x // 2`` of the readout grid, so an asymmetric echo
is zero-filled in its place; samples named by ``discard_pre`` and ``discard_post`` are left out; the inverse
transform is orthonormal, so white noise keeps its variance; of the image line the central ``readout_x``
samples are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import ismrmrd
import numpy as np
import torch
from torch import Tensor

from smug_recon.errors import DataError
from smug_recon.gadgets.items import REVERSE, Readout, not_imaging
from smug_recon.gadgets.plan import Plan
from smug_recon.gadgets.timing import Report
from smug_recon.physics import ifft_centred


def remove_oversampling(items: Iterable[Any], plan: Plan, report: Report) -> Iterator[Any]:
    """Turn every imaging or calibration readout into a hybrid-space :class:`Readout` of ``plan.readout_x``
    samples.

    Readouts that carry no image line (navigators, phase correction ...) pass through unchanged and are
    counted.

    Raises:
        DataError: the samples of a readout do not fit the encoded matrix.
    """
    for item in items:
        if not isinstance(item, ismrmrd.Acquisition):
            yield item
            continue
        kind = not_imaging(item)
        if kind is not None:
            report.passed_on(kind)
            yield item
            continue
        report.lines += 1
        yield Readout(item.getHead(), hybrid_line(item, plan.encoded_xyz[0], plan.readout_x, report))


def hybrid_line(acquisition: ismrmrd.Acquisition, encoded_x: int, readout_x: int, report: Report) -> Tensor:
    """Return the image line ``data_cx`` (coils, readout_x) of one readout: place, transform, crop."""
    data_cx = np.asarray(acquisition.data, dtype=np.complex64)
    coils, samples = data_cx.shape
    centre = _centre_sample(acquisition, encoded_x, report)
    if readout_x < encoded_x and samples == readout_x and centre == samples // 2:
        report.warn(
            f"readout oversampling was removed before this node: {samples} samples for a grid of {encoded_x}"
        )
        encoded_x = readout_x
    first, last = int(acquisition.discard_pre), samples - int(acquisition.discard_post)
    if acquisition.flags & REVERSE:
        data_cx = data_cx[:, ::-1]
        centre, first, last = samples - 1 - centre, samples - last, samples - first
    start = encoded_x // 2 - centre  # where sample 0 lands on the grid
    if first >= last or start + first < -1 or start + last > encoded_x + 1:
        raise DataError(
            f"a readout of {samples} samples, {first} to {last - 1} valid, its k-space centre at {centre}",
            f"samples that fit the encoded matrix of {encoded_x} with its centre at {encoded_x // 2}",
            "correct center_sample, discard_pre/discard_post or encodedSpace.matrixSize.x in the converter",
        )
    first, last = (
        max(first, -start),
        min(last, encoded_x - start),
    )  # a centre off by one costs the outermost sample
    grid_cx = np.zeros((coils, encoded_x), np.complex64)
    grid_cx[:, start + first : start + last] = data_cx[:, first:last]
    line_cx = ifft_centred(torch.from_numpy(grid_cx), [1])
    crop = encoded_x // 2 - readout_x // 2
    return line_cx[:, crop : crop + readout_x].contiguous()


def _centre_sample(acquisition: ismrmrd.Acquisition, encoded_x: int, report: Report) -> int:
    """Return the index of the k-space centre; a full readout that leaves it at 0 has simply not filled it
    in."""
    samples = int(acquisition.number_of_samples)
    if acquisition.center_sample == 0 and samples == encoded_x and samples > 1:
        report.warn(
            f"center_sample is not filled in: sample {samples // 2} of {samples} is taken as the centre"
        )
        return samples // 2
    return int(acquisition.center_sample)
