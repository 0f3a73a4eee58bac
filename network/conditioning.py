"""What the network is told about a slice, from the acquired data alone: its intensity scale and its noise level."""

from __future__ import annotations

import torch
from torch import Tensor


def intensity_scale(adjoint_byx: Tensor, one_in: int = 100) -> Tensor:
    """Return the scale of each slice: the mean of the brightest 1 % of |A^H y|, shape (b,); 1 for an empty slice.

    Known on the scanner before the network runs (the fully sampled image is not), and the same rule in training.
    """
    magnitude = adjoint_byx.abs().flatten(1)
    count = max(1, magnitude.shape[1] // one_in)
    scale = magnitude.topk(count, dim=1).values.mean(1)
    return torch.where(scale > 0, scale, torch.ones_like(scale))


def noise_level(kspace_bcyx: Tensor, maps_bcyx: Tensor, mask: Tensor, one_in: int = 10) -> Tensor:
    """Estimate the complex noise standard deviation of each slice's samples, shape (b,), in the units of the samples.

    The quietest tenth of the sampled positions (far ky, columns beside the object) holds noise only: the 10 % quantile of the
    energy averaged over the C active coils, over that quantile of a chi-square variable with 2 C degrees of freedom of unit
    mean (Wilson and Hilferty 1931, DOI 10.1073/pnas.17.12.684). With little air in the field of view it is an upper bound.

    Args:
        kspace_bcyx: hybrid space for ``mask_by``, k-space for ``mask_byx``. maps_bcyx: unused channels are all zero.
    """
    levels: list[Tensor] = []
    for b in range(kspace_bcyx.shape[0]):
        coils = max(1, int((maps_bcyx[b] != 0).flatten(1).any(1).sum()))
        if mask.dim() == 2:  # whole lines: the others need not be looked at
            kspace_cn = kspace_bcyx[b][:, mask[b] > 0].flatten(1)
        else:
            kspace_cn = kspace_bcyx[b][:, mask[b] > 0]
        sampled = (kspace_cn.real.square() + kspace_cn.imag.square()).sum(0) / coils
        if sampled.numel() == 0:
            levels.append(torch.zeros([], device=kspace_bcyx.device))
            continue
        quantile = sampled.kthvalue(max(1, sampled.numel() // one_in)).values
        spread = 2.0 / (9.0 * 2.0 * coils)
        chi = (1.0 - spread - 1.2816 * spread**0.5) ** 3
        levels.append((quantile / chi).sqrt())
    return torch.stack(levels)


def log_level(level_b: Tensor, floor: float = 3e-4, ceiling: float = 0.3) -> Tensor:
    """Return the noise level as the network reads it: ``log10(level) + 2`` (0 at 0.01), held inside the trained range."""
    return level_b.clamp(floor, ceiling).log10() + 2.0
