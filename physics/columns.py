"""The operator A^H A for masks of ky alone, column by column: ky contiguous in memory, some columns at a time.

In hybrid space every column x is a problem of its own. With the order (x, c, ky) a block of columns of all coils stays in the
cache of a core from the product with the maps to the sum over the coils, and the transforms run along contiguous memory.
"""

from __future__ import annotations

import torch
from torch import Tensor


def columns_first(image: Tensor) -> Tensor:
    """Return images ``(b, y, x)`` as ``(b, x, y)``, or maps ``(b, c, y, x)`` as ``(b, x, c, y)``, contiguous."""
    if image.dim() == 3:
        return image.transpose(1, 2).contiguous()
    return image.permute(0, 3, 1, 2).contiguous()


def normal_columns(image_bxy: Tensor, maps_bxcy: Tensor, mask_by: Tensor, block: int = 131072) -> Tensor:
    """Apply ``A^H A`` to columns; equal to :func:`smug_recon.physics.sense.normal_operator` with ``mask_by``.

    Args:
        image_bxy, maps_bxcy, mask_by: with the centre of y at sample 0 (``ifftshift``).
        block: samples of all coils that are worked on at once, 1 MB of them; on a GPU all are.

    Returns:
        ``image_bxy``, with the same layout.
    """
    # conj(F^H k) = F conj(k): the mask conjugates on its way, and the maps need not be conjugated in every application
    mask_bxcyr = torch.stack([mask_by, -mask_by], -1)[:, None, None]
    columns = image_bxy.shape[1]
    step = columns if image_bxy.is_cuda else max(1, block // (maps_bxcy.shape[2] * maps_bxcy.shape[3]))
    parts: list[Tensor] = []
    for start in range(0, columns, step):
        maps = maps_bxcy[:, start : start + step]
        kspace = torch.fft.fft(maps * image_bxy[:, start : start + step, None], norm="ortho")
        torch.view_as_real(kspace).mul_(mask_bxcyr)
        parts.append(torch.fft.fft(kspace, norm="ortho").mul_(maps).sum(2))
    return torch.conj_physical(torch.cat(parts, 1))
