"""Laws of the imaging model: unitarity, exact adjoints, equality of the 2-D and the hybrid path."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from smug_recon.physics import fft_centred, ifft_centred, sense_adjoint, sense_forward

sizes = st.integers(2, 13)


def complex_normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.complex128) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@given(sizes, sizes, st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_centred_transform_is_unitary_and_inverted(rows: int, columns: int, seed: int) -> None:
    image = complex_normal(rows, columns, seed=seed)
    kspace = fft_centred(image, [0, 1])
    assert torch.allclose(kspace.abs().square().sum(), image.abs().square().sum())
    assert torch.allclose(ifft_centred(kspace, [0, 1]), image)


@given(sizes, sizes)
@settings(max_examples=20, deadline=None)
def test_the_centre_sample_is_the_mean_and_a_central_point_is_flat(rows: int, columns: int) -> None:
    image = complex_normal(rows, columns, seed=1)
    assert torch.allclose(
        fft_centred(image, [0, 1])[rows // 2, columns // 2], image.sum() / (rows * columns) ** 0.5
    )
    point = torch.zeros(rows, columns, dtype=torch.complex128)
    point[rows // 2, columns // 2] = 1
    assert torch.allclose(fft_centred(point, [0, 1]), torch.full_like(point, (rows * columns) ** -0.5))


@pytest.mark.parametrize("hybrid", [True, False])
@given(rows=sizes, columns=sizes, coils=st.integers(1, 4), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_adjoint_is_exact(hybrid: bool, rows: int, columns: int, coils: int, seed: int) -> None:
    maps = complex_normal(2, coils, rows, columns, seed=seed)
    image = complex_normal(2, rows, columns, seed=seed + 1)
    kspace = complex_normal(2, coils, rows, columns, seed=seed + 2)
    shape = (2, rows) if hybrid else (2, rows, columns)
    mask = (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) > 0.5).double()
    left = torch.vdot(kspace.flatten(), sense_forward(image, maps, mask).flatten())
    right = torch.vdot(sense_adjoint(kspace, maps, mask).flatten(), image.flatten())
    assert torch.allclose(left, right, atol=1e-10)


@given(rows=sizes, columns=sizes, seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_hybrid_path_equals_two_dimensional_path(rows: int, columns: int, seed: int) -> None:
    maps = complex_normal(1, 3, rows, columns, seed=seed, dtype=torch.complex64)
    image = complex_normal(1, rows, columns, seed=seed + 1, dtype=torch.complex64)
    mask_by = (torch.rand(1, rows, generator=torch.Generator().manual_seed(seed)) > 0.4).float()
    mask_byx = mask_by[:, :, None].expand(-1, -1, columns)
    full = sense_forward(image, maps, mask_byx)
    hybrid = sense_forward(image, maps, mask_by)
    scale = float(image.abs().max() * maps.abs().max())
    assert torch.allclose(ifft_centred(full, [-1]), hybrid, atol=1e-6 * scale)
    assert torch.allclose(
        sense_adjoint(full, maps, mask_byx), sense_adjoint(hybrid, maps, mask_by), atol=3e-6 * scale
    )
