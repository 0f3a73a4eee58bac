"""Partial Fourier in phase: completed from the phase of the image, or zero-filled and said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from simulated import header_of, readouts_of, reconstructed, scan

from smug_recon.gadgets.images.partial_fourier import completed, pocs
from smug_recon.physics import fft_centred, ifft_centred


def object_of(lines: int) -> torch.Tensor:
    """A real object without symmetry, under a smooth phase."""
    y, x = torch.meshgrid(torch.arange(lines) / lines - 0.5, torch.arange(24) / 24 - 0.5, indexing="ij")
    body = ((y / 0.35) ** 2 + ((x - 0.05) / 0.3) ** 2 < 1) + 0.7 * (
        ((y - 0.1) / 0.12) ** 2 + (x / 0.1) ** 2 < 1
    )
    return torch.polar(body.float(), 0.8 * y + 0.5 * x + 0.3).to(torch.complex64)


@pytest.mark.parametrize("lines", [64, 65])
@pytest.mark.parametrize("side", ["first", "last"])
def test_the_missing_side_comes_back(lines: int, side: str) -> None:
    """Half the error of zero-filling, for either side and even and odd sizes; what was acquired stays."""
    truth = object_of(lines)
    kspace = fft_centred(truth, [0])
    acquired = (lines // 4, lines - 1) if side == "first" else (0, lines - 1 - lines // 4)
    kspace[: acquired[0]] = 0
    kspace[acquired[1] + 1 :] = 0
    zero_filled = ifft_centred(kspace, [0])
    found, text = completed(zero_filled, acquired, 0, "pocs")
    error = [float((image.abs() - truth.abs()).norm()) for image in (found, zero_filled)]
    assert error[0] < 0.5 * error[1]
    rows = slice(acquired[0], acquired[1] + 1)
    assert torch.allclose(fft_centred(found, [0])[rows], kspace[rows], atol=1e-5)
    assert text == f"{lines // 4} of {lines} lines not acquired, completed by POCS"


def test_any_axis_can_be_completed() -> None:
    image = object_of(64)
    along_y, _ = completed(image, (16, 63), 0, "pocs")
    along_x, _ = completed(image.T.contiguous(), (16, 63), 1, "pocs")
    assert torch.allclose(along_x.T, along_y, atol=1e-6)


def test_a_symmetric_acquisition_is_left_as_it_is_where_it_was_acquired() -> None:
    image = object_of(64)
    assert torch.allclose(pocs(image, (0, 63), 5), image, atol=1e-5)


@pytest.mark.parametrize(("method", "acquired"), [("zero_fill", (16, 63)), ("pocs", (29, 63))])
def test_zero_filling_is_said(method: str, acquired: tuple[int, int]) -> None:
    """As the pipeline asks, or where the centre is too narrow to know the phase."""
    image = object_of(64)
    found, text = completed(image, acquired, 0, method)
    assert torch.equal(found, image)
    assert "zero-filled" in text
    assert ("both sides" in text) == (method == "pocs")


@pytest.mark.parametrize("fraction", [0.75, 0.625])
@pytest.mark.parametrize("acceleration", [1.0, 2.0])
def test_a_simulated_scan(fraction: float, acceleration: float, conventional_model: Any) -> None:
    settings: dict[str, Any] = {"matrix_xy": (48, 96), "acceleration": acceleration, "acs": 24}
    raw = scan(**settings, partial_fourier=fraction)
    errors = []
    for method, said in (("pocs", "completed by POCS"), ("zero_fill", "zero-filled")):
        found = reconstructed(readouts_of(raw), header_of(raw), conventional_model, partial_fourier=method)
        assert said in found.comments
        errors.append(found.nrmse(raw.truth.whitened_syx))
    assert errors[0] < 0.8 * errors[1]
    assert np.isfinite(errors).all()
