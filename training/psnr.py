"""PSNR as the paper computes it."""

from __future__ import annotations

import torch
from torch import Tensor


def psnr_db(image_byx: Tensor, target_byx: Tensor) -> Tensor:
    """Return ``10 log10(max |t|^2 / mean |x - t|^2)`` of each complex slice, in dB (arXiv 2312.07784, section IV)."""
    error_b = (image_byx - target_byx).abs().square().mean([1, 2])
    return 10 * torch.log10(target_byx.abs().amax([1, 2]).square() / error_b.clamp_min(1e-20))
