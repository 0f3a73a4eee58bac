"""Readout transform and oversampling removal: k-space line in, hybrid-space line out, as each readout
arrives.

The k-space centre (``center_sample``) is put at ``encoded_x // 2`` of the readout grid, so an asymmetric echo
is zero-filled in its place; samples named by ``discard_pre`` and ``discard_post`` are left out; the inverse
transform is orthonormal, so white noise keeps its variance; of the image line the central ``readout_x``
samples are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import ismrmrd
import numpy as np
import torch
from torch import Tensor

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import REVERSE, Readout, header_of, not_imaging
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan

#: share of the signal beyond the field of view above which undeclared oversampling is not believed
BEYOND = 0.2


def remove_oversampling(items: Iterable[Any], plan: Plan, report: Report) -> Iterator[Any]:
    """Turn every imaging or calibration readout into a hybrid-space :class:`Readout` of ``plan.readout_x``
    samples.

    Readouts that carry no image line (navigators, phase correction ...) pass through unchanged and are
    counted.

    Raises:
        DataError: the samples of a readout do not fit the encoded matrix, or, at the end, they were several
        times as many and that was no oversampling.
    """
    total = kept = 0.0
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
        head = header_of(item)
        line_cx = whole_line(item, head, plan.encoded_xyz[0], plan.readout_x, report)
        kept_cx = middle(line_cx, plan.readout_x)
        if line_cx.shape[1] > plan.encoded_xyz[0]:
            total += _energy(line_cx)
            kept += _energy(kept_cx)
        yield Readout(head, torch.from_numpy(kept_cx))
    if total - kept > BEYOND * total:
        raise DataError(
            f"more samples than the encoded matrix of {plan.encoded_xyz[0]}, with {100 * (1 - kept / total):.0f} % of "
            "the signal beyond the field of view that undeclared oversampling would leave",
            "samples that fit the encoded matrix",
            "correct encodedSpace (matrixSize.x and fieldOfView_mm.x with the oversampling) in the converter",
        )


def hybrid_line(acquisition: ismrmrd.Acquisition, encoded_x: int, readout_x: int, report: Report) -> Tensor:
    """Return the image line ``data_cx`` (coils, readout_x) of one readout: place, transform, crop."""
    line_cx = whole_line(acquisition, header_of(acquisition), encoded_x, readout_x, report)
    return torch.from_numpy(middle(line_cx, readout_x))


def middle(line_cx: np.ndarray, readout_x: int) -> np.ndarray:
    """Return the central ``readout_x`` samples of an image line whose centre is at sample 0 (``ifftshift``), contiguous."""
    before = readout_x // 2
    return np.concatenate([line_cx[:, line_cx.shape[1] - before :], line_cx[:, : readout_x - before]], axis=1)


def whole_line(
    acquisition: ismrmrd.Acquisition,
    head: ismrmrd.AcquisitionHeader,
    encoded_x: int,
    readout_x: int,
    report: Report,
) -> np.ndarray:
    """Return the image line of one readout with its oversampling, its centre at sample 0: place, transform.

    The transform is numpy's: it computes a line as fast as torch, and needs no workers of OpenMP in the thread that receives.
    """
    place = placed(head, encoded_x, readout_x)
    for text in place.notes:
        report.warn(text)
    data_cx = np.asarray(acquisition.data, dtype=np.complex64)[:, place.samples]
    if not data_cx.shape[0]:
        raise DataError("a readout of 0 channels", "at least one", "correct active_channels in the converter")
    # The samples go where ifftshift would move them: the centre, grid_x // 2, to the first place.
    grid_cx, centre = np.zeros((data_cx.shape[0], place.grid_x), np.complex64), place.grid_x // 2
    before = min(max(centre - place.start, 0), data_cx.shape[1])
    left, right = place.start - centre, place.stop - centre
    grid_cx[:, left % place.grid_x : left % place.grid_x + before] = data_cx[:, :before]
    grid_cx[:, max(left, 0) : max(right, 0)] = data_cx[:, before:]
    with np.errstate(all="ignore"):  # what is not finite is found, and said, when the slice is assembled
        line_cx: np.ndarray = np.fft.ifft(grid_cx, norm="ortho")
    return line_cx.astype(np.complex64, copy=False)  # numpy before 2.0 computes in double precision


@dataclass(frozen=True)
class Place:
    """Where the samples of a readout lie: those chosen by ``samples`` fill ``start`` to ``stop`` of the grid."""

    grid_x: int
    start: int
    stop: int
    samples: slice
    notes: tuple[str, ...] = ()


def placed(head: ismrmrd.AcquisitionHeader, encoded_x: int, readout_x: int) -> Place:
    """Lay a readout on the grid of ``encoded_x`` samples whose sample ``encoded_x // 2`` is the k-space centre.

    Samples named by ``discard_pre`` and ``discard_post`` are left out, a reversed readout is turned about its
    centre. The grid is one of ``readout_x`` samples where oversampling was removed before this node, and one of
    all samples where they are a multiple of a matrix that declares no oversampling.

    Raises:
        DataError: the samples do not fit.
    """
    samples, notes = int(head.number_of_samples), []
    centre = int(head.center_sample)
    if centre == 0 and samples > 1 and (samples % encoded_x == 0 or samples == readout_x):
        centre = samples // 2
        notes.append(f"center_sample is not filled in: sample {centre} of {samples} is taken as the centre")
    if readout_x < encoded_x and samples == readout_x and centre == samples // 2:
        notes.append(
            f"readout oversampling was removed before this node: {samples} samples for a grid of {encoded_x}"
        )
        encoded_x = readout_x
    wider = samples // encoded_x
    if readout_x == encoded_x and wider > 1 and samples == wider * encoded_x and centre == samples // 2:
        notes.append(
            f"{samples} samples for an encoded matrix of {encoded_x}: taken as {wider} times oversampling that the "
            "header does not declare"
        )
        encoded_x = samples
    first, last = int(head.discard_pre), samples - int(head.discard_post)
    if head.flags & REVERSE:
        centre, first, last = samples - 1 - centre, samples - last, samples - first
    start = encoded_x // 2 - centre  # where sample 0 lands on the grid
    if first >= last or start + first < -1 or start + last > encoded_x + 1:
        raise DataError(
            f"a readout of {samples} samples, {first} to {last - 1} valid, its k-space centre at {centre}",
            f"samples that fit the encoded matrix of {encoded_x} with its centre at {encoded_x // 2}",
            "correct center_sample, discard_pre/discard_post or encodedSpace.matrixSize.x in the converter",
        )
    first = max(first, -start)  # a centre off by one costs the outermost sample
    last = min(last, encoded_x - start)
    chosen = slice(first, last)
    if head.flags & REVERSE:
        before = samples - 1 - last
        chosen = slice(samples - 1 - first, None if before < 0 else before, -1)
    return Place(encoded_x, start + first, start + last, chosen, tuple(notes))


def _energy(line_cx: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        return float(np.vdot(line_cx, line_cx).real)
