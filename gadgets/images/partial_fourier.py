"""Partial Fourier in phase: the side of k-space that was not acquired, from the phase of the image (POCS).

The image of an object of smooth phase has nearly conjugate-symmetric k-space. Projection onto convex sets alternates
between the images of that phase and the images of the acquired lines:

    x <- |x| exp(i phi),   k(x) <- k(acquired rows),   phi: phase of the symmetric centre, Hann window

It works on the combined image after data consistency: the rows from the first to the last acquired line are those of
the network's image, undersampled ones included. Source: Haacke et al., JMR 92:126 (1991), DOI
10.1016/0022-2364(91)90253-P; overview in McGibney et al., MRM 30:51 (1993), DOI 10.1002/mrm.1910300109.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from smug_recon.gadgets.flow.items import Reconstruction
from smug_recon.gadgets.header.plan import Plan
from smug_recon.physics import fft_centred, ifft_centred

ITERATIONS = 5
SMALLEST_CENTRE = 8
"""Lines on either side of the k-space centre that must have been acquired, for the phase."""


def complete(items: Iterable[Any], plan: Plan) -> Iterator[Any]:
    """Complete every image of a partial Fourier acquisition, as ``partial_fourier`` of the pipeline says, and say it."""
    for item in items:
        if isinstance(item, Reconstruction) and item.partial_y is not None:
            item.image_yx, text = completed(item.image_yx, item.partial_y, 0, plan.pipeline.partial_fourier)
            item.notes.append(f"partial Fourier in phase: {text}")
        yield item


def completed(image: Tensor, acquired: tuple[int, int], dim: int, method: str) -> tuple[Tensor, str]:
    """Return an image, any number of axes, and what was done along ``dim``, acquired from row to row (both included)."""
    lines = image.shape[dim]
    centre = lines // 2
    half = min(centre - acquired[0], acquired[1] - centre)
    missing = lines - (acquired[1] - acquired[0] + 1)
    if method == "pocs" and half >= SMALLEST_CENTRE:
        text = f"{missing} of {lines} lines not acquired, completed by POCS"
        return pocs(image.movedim(dim, 0), acquired, ITERATIONS).movedim(0, dim).contiguous(), text
    why = "" if method != "pocs" else f" (POCS needs {SMALLEST_CENTRE} lines on both sides of the centre)"
    return image, f"{missing} of {lines} lines not acquired, zero-filled{why}"


def pocs(image: Tensor, acquired: tuple[int, int], iterations: int) -> Tensor:
    """Return the image whose acquired rows are those of ``image`` and whose phase is that of the symmetric centre.

    Args:
        image: complex64, the axis of partial Fourier first, k-space centre at row ``n // 2``.
        acquired: first and last acquired row.
        iterations: alternating projections.
    """
    lines = image.shape[0]
    centre = lines // 2
    rows = torch.arange(lines).reshape(-1, *[1] * (image.dim() - 1))
    half = min(centre - acquired[0], acquired[1] - centre)
    hann = torch.cos(torch.pi / 2 * (rows - centre) / (half + 1)).square()
    window = torch.where((rows - centre).abs() <= half, hann, torch.zeros(()))
    kspace = fft_centred(image, [0])
    rotation = torch.sgn(ifft_centred(kspace * window, [0]))
    rotation = torch.where(rotation == 0, torch.ones_like(rotation), rotation)
    known = (rows >= acquired[0]) & (rows <= acquired[1])
    found = image
    for _ in range(iterations):
        found = ifft_centred(torch.where(known, kspace, fft_centred(found.abs() * rotation, [0])), [0])
    return found
