"""Slices whose head is larger than the field of view: every point may hold two images, each with its own maps.

The network knows one image with one set of maps. It is given each of the two in turn, with the other one
subtracted from the data, starting from CG-SENSE with both sets; the image is their root-sum-of-squares, as it
is for coil images that fold.
"""

from __future__ import annotations

import torch
from torch import Tensor

from smug_recon.gadgets.model.file import Model
from smug_recon.physics import sense_forward, soft_sense


def folded_network(
    kspace_bcyx: Tensor, maps_bscyx: Tensor, mask: Tensor, model: Model, seed: int, samples: int
) -> tuple[Tensor, Tensor]:
    """Return ``image_byx`` of two sets, and its spread: the network on ``y - A_2 x_2``, on ``y - A_1 x_1``, and on
    the first again.

    The spread is that of both sets in their root-sum-of-squares, ``s^2 = sum_i |x_i|^2 s_i^2 / sum_i |x_i|^2``. The
    third pass is measured to gain most where the second set was poor at first (docs/measured.md).
    """
    first_bcyx, second_bcyx = maps_bscyx[:, 0], maps_bscyx[:, 1]
    second_byx = soft_sense(kspace_bcyx, maps_bscyx, mask)[:, 1]
    sampled = mask > 0

    def network(rest_bcyx: Tensor, own_bcyx: Tensor) -> tuple[Tensor, Tensor]:
        return model.forward(rest_bcyx, own_bcyx, mask, seed, samples)

    first_byx, _ = network(kspace_bcyx - sense_forward(second_byx, second_bcyx, sampled), first_bcyx)
    second_byx, second_spread = network(
        kspace_bcyx - sense_forward(first_byx, first_bcyx, sampled), second_bcyx
    )
    first_byx, first_spread = network(
        kspace_bcyx - sense_forward(second_byx, second_bcyx, sampled), first_bcyx
    )
    power_bsyx = torch.stack([first_byx, second_byx], 1).abs().square()
    spread_bsyx = torch.stack([first_spread, second_spread], 1)
    tiny = torch.finfo(torch.float32).tiny
    spread_byx = ((power_bsyx * spread_bsyx.square()).sum(1) / power_bsyx.sum(1).clamp_min(tiny)).sqrt()
    return combined(torch.stack([first_byx, second_byx], 1)), spread_byx


def folded_conventional(kspace_bcyx: Tensor, maps_bscyx: Tensor, mask: Tensor) -> Tensor:
    """Return ``image_byx`` of CG-SENSE with all sets of maps."""
    return combined(soft_sense(kspace_bcyx, maps_bscyx, mask))


def combined(image_bsyx: Tensor) -> Tensor:
    """Return the root-sum-of-squares over the sets in the phase of the first: where there is one, that one."""
    size_byx = (image_bsyx.real.square() + image_bsyx.imag.square()).sum(1).sqrt()
    return torch.polar(size_byx, image_bsyx[:, 0].angle())
