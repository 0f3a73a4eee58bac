"""The operator A^H A for masks of ky alone, column by column: ky contiguous in memory, a few columns at a time.

In hybrid space every column x is a problem of its own. With the order (x, c, ky) a block of columns of all coils stays in the
cache of a core from the product with the maps to the sum over the coils, and the transforms run along contiguous memory.
"""

from __future__ import annotations

import torch
from torch import Tensor

COLUMNS = 8
"""Columns of a block: 15 coils of 320 lines are 300 kB."""


def columns_first(image: Tensor) -> Tensor:
    """Return images ``(b, y, x)`` as ``(b, x, y)``, or maps ``(b, c, y, x)`` as ``(b, x, c, y)``, contiguous."""
    return image.mT.contiguous() if image.dim() == 3 else image.permute(0, 3, 1, 2).contiguous()


def normal_columns(image_bxy: Tensor, maps_bxcy: Tensor, mask_by: Tensor, columns: int = COLUMNS) -> Tensor:
    """Apply ``A^H A`` to columns; equal to :func:`smug_recon.physics.sense.normal_operator` with ``mask_by``.

    Args:
        image_bxy, maps_bxcy, mask_by: with the centre of y at sample 0 (``ifftshift``). columns: of a block.

    Returns:
        ``image_bxy``, with the same layout.
    """
    out_bxy = torch.empty_like(image_bxy)
    mask_b11y = mask_by[:, None, None]
    for start in range(0, image_bxy.shape[1], columns):
        own = slice(start, start + columns)
        block_bxcy = maps_bxcy[:, own]
        kspace_bxcy = torch.fft.fft(block_bxcy * image_bxy[:, own, None], norm="ortho") * mask_b11y
        coil_images_bxcy = torch.fft.ifft(kspace_bxcy, norm="ortho")
        out_bxy[:, own] = (block_bxcy.conj() * coil_images_bxcy).sum(2)
    return out_bxy
