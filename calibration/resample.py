"""From the small grid to the image: periodic cubic interpolation written as one matrix per axis."""

from __future__ import annotations

import torch
from torch import Tensor


def grid_positions(size: int, device: torch.device) -> Tensor:
    """Return where the pixels of a centred axis lie, in fields of view: ``(p - size // 2) / size``."""
    return (torch.arange(size, device=device) - size // 2).to(torch.float64) / size


def interpolation_matrix(size: int, grid: int, device: torch.device) -> Tensor:
    """Return W (size, grid): image samples = W @ grid samples, both axes centred on one field of view.

    Cubic convolution of the fourth order needs six neighbours (Keys 1981, DOI 10.1109/TASSP.1981.1163711);
    the axis is periodic. Pixel ``n // 2`` is the centre on both sides, so odd and even sizes mix without a
    half-voxel shift.
    """
    if size == grid:
        return torch.eye(size, dtype=torch.float32, device=device)
    place = grid_positions(size, device) * grid + grid // 2
    offset = place[:, None] - torch.arange(grid, device=device)
    d = (offset - grid * torch.round(offset / grid)).abs()
    near = ((4 / 3) * d - 7 / 3) * d * d + 1
    middle = ((-7 / 12 * d + 3) * d - 59 / 12) * d + 15 / 6
    far = ((1 / 12 * d - 2 / 3) * d + 21 / 12) * d - 3 / 2
    zero = torch.zeros_like(d)
    weights = torch.where(d < 1, near, torch.where(d < 2, middle, torch.where(d < 3, far, zero)))
    return weights.to(torch.float32)


def resample(grid_cyx: Tensor, shape_yx: tuple[int, int]) -> Tensor:
    """Interpolate images of shape (..., grid_y, grid_x), real or complex, to ``shape_yx``."""
    weights_y = interpolation_matrix(shape_yx[0], grid_cyx.shape[-2], grid_cyx.device)
    weights_x = interpolation_matrix(shape_yx[1], grid_cyx.shape[-1], grid_cyx.device)
    if grid_cyx.is_complex():
        parts = torch.view_as_real(grid_cyx).movedim(-1, 0)
        parts = weights_y @ (parts @ weights_x.mT)
        return torch.complex(parts[0], parts[1])
    return weights_y @ (grid_cyx @ weights_x.mT)
