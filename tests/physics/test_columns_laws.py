"""A^H A column by column is A^H A."""

from __future__ import annotations

import pytest
import torch

from smug_recon.physics.columns import columns_first, normal_columns
from smug_recon.physics.sense import normal_operator


@pytest.mark.parametrize(("lines", "columns", "block"), [(16, 12, 100), (17, 9, 1), (8, 5, 10**6)])
def test_it_is_the_normal_operator(lines: int, columns: int, block: int) -> None:
    torch.manual_seed(0)
    maps_bcyx = torch.randn(2, 3, lines, columns, dtype=torch.complex64)
    image_byx = torch.randn(2, lines, columns, dtype=torch.complex64)
    mask_by = (torch.rand(2, lines) > 0.5).float()
    expected = normal_operator(image_byx, maps_bcyx, mask_by[:, None, :, None], [-2])
    found = normal_columns(columns_first(image_byx), columns_first(maps_bcyx), mask_by, block)
    assert torch.allclose(found.mT, expected, atol=1e-5)
