"""From the encoded matrix to the recon matrix: phase oversampling is cropped, then zero-filled interpolation
in k-space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor
from torch.nn.functional import pad

from smug_recon.gadgets.flow.items import Reconstruction
from smug_recon.gadgets.header.encoding import image_rows
from smug_recon.gadgets.header.plan import Plan
from smug_recon.physics import fft_centred, ifft_centred


def to_recon_matrix(items: Iterable[Any], plan: Plan) -> Iterator[Any]:
    """Bring every image from the encoded field of view to the recon field of view and matrix."""
    kept_y = image_rows(plan.lines_y, plan.encoded_fov_mm[1], plan.recon_fov_mm[1])
    for item in items:
        if isinstance(item, Reconstruction):
            image_yx = crop_or_pad(item.image_yx, kept_y, 0)
            image_yx = interpolate(image_yx, plan.recon_xyz[1], 0)
            item.image_yx = interpolate(image_yx, plan.recon_xyz[0], 1)
        yield item


def crop_or_pad(image: Tensor, size: int, dim: int) -> Tensor:
    """Crop or zero-pad one axis about its centre ``n // 2``."""
    found = image.shape[dim]
    if size <= found:
        return image.narrow(dim, found // 2 - size // 2, size)
    before = size // 2 - found // 2
    padding = [0, 0] * (image.dim() - 1 - dim) + [before, size - found - before]
    return pad(image, padding)


def interpolate(image: Tensor, size: int, dim: int) -> Tensor:
    """Resample one axis to ``size`` samples of the same field of view by zero-filling (or cropping) its
    k-space."""
    found = image.shape[dim]
    if size == found:
        return image
    kspace = crop_or_pad(fft_centred(image, [dim]), size, dim)
    return ifft_centred(kspace, [dim]) * (size / found) ** 0.5
