"""Asymmetric echo: the side of the readout that was not acquired is filled from the other by phase constraint.

The readout is zero-filled with the echo in its place (``oversampling.py``). Once the image is there, its missing
readout frequencies are found by projection onto convex sets: the phase is that of the symmetric centre of the
readout, the acquired frequencies stay as they are.

    phase = arg F^-1 (w k),   repeat:  k = F(|x| exp(i phase)) where not acquired

Source: Haacke, Lindskog and Lin, JMR 92:126 (1991). Measured on simulated heads (docs/raw-data.md): 1 to 2.6 dB
closer to the truth than zero-filling with a quarter of the readout missing; five steps are enough, more follow
the noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import ismrmrd
import torch
from torch import Tensor

from smug_recon.gadgets.flow.items import Reconstruction
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.readouts.oversampling import placed
from smug_recon.physics import fft_centred, ifft_centred

STEPS = 5
#: share of the readout whose absence on one side counts as an asymmetric echo
NOTICED = 1 / 32
#: share of the readout that must lie symmetric about the echo for its phase to be known
KNOWN = 1 / 16


def complete_echoes(items: Iterable[Any], plan: Plan) -> Iterator[Any]:
    """Fill the missing side of the readout of every reconstruction that has one, and say it on the image."""
    for item in items:
        if isinstance(item, Reconstruction) and item.has_phase:
            before, after = missing_samples(item.head, plan)
            if abs(before - after) >= max(2, NOTICED * item.image_yx.shape[-1]):
                share = (
                    f"{100 * max(before, after) / item.image_yx.shape[-1]:.0f} % of the readout not acquired"
                )
                if symmetric(before, after, item.image_yx.shape[-1]) >= KNOWN * item.image_yx.shape[-1]:
                    item.image_yx = fill_side(item.image_yx, before, after)
                    item.notes.append(f"asymmetric echo: {share}, filled by phase constraint (POCS)")
                else:
                    item.notes.append(f"asymmetric echo: {share}, zero-filled")
        yield item


def missing_samples(head: ismrmrd.AcquisitionHeader, plan: Plan) -> tuple[int, int]:
    """Return the samples missing before and after those acquired, on a readout of ``plan.readout_x``."""
    place = placed(head, plan.encoded_xyz[0], plan.readout_x)
    ratio = plan.readout_x / place.grid_x
    return round(place.start * ratio), round((place.grid_x - place.stop) * ratio)


def symmetric(before: int, after: int, size: int) -> int:
    """Return how many samples about the centre ``size // 2`` have a mirror image."""
    half = min(size // 2 - before, size - after - 1 - size // 2)
    return 2 * half + 1 if half >= 0 else 0


def fill_side(image_yx: Tensor, before: int, after: int, steps: int = STEPS) -> Tensor:
    """Return the image with the frequencies of the last axis that were not acquired filled in.

    Args:
        image_yx: complex image (..., x), zero-filled. before, after: samples missing on each side.
    """
    size = image_yx.shape[-1]
    half = symmetric(before, after, size) // 2
    distance_x = (torch.arange(size) - size // 2).abs()
    window_x = torch.cos(torch.pi / 2 * distance_x / (half + 1)).square() * (distance_x <= half)
    known_x = torch.zeros(size, dtype=torch.bool)
    known_x[before : size - after] = True
    mirror_x = (2 * (size // 2) - torch.arange(size)).clamp_max(size - 1)
    wanted_x = ~known_x & known_x[mirror_x]
    kspace_yx = fft_centred(image_yx, [-1])
    phase_yx = torch.sgn(ifft_centred(kspace_yx * window_x, [-1]))
    found_yx = image_yx
    for _ in range(steps):
        guess_yx = fft_centred(found_yx.abs() * phase_yx, [-1])
        found_yx = ifft_centred(torch.where(wanted_x, guess_yx, kspace_yx), [-1])
    return found_yx
