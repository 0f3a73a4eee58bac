"""Metrics against values known by hand."""

from __future__ import annotations

import math

import pytest
import torch

from smug_recon.robustness.measures.metrics import hfen, log_kernel, nrmse, scores, ssim


def image() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.view_as_complex(torch.rand(1, 32, 28, 2, generator=generator)) + 0.5


def test_an_image_is_identical_to_itself() -> None:
    found = scores(image(), image())
    assert found["hfen"] == 0
    assert found["nrmse"] == 0
    assert found["ssim"] == pytest.approx(1)
    assert found["psnr_db"] > 100


def test_a_constant_error_has_the_psnr_of_its_size() -> None:
    target = image()
    found = scores(target + 0.01j, target)
    peak = float(target.abs().max())
    assert found["psnr_db"] == pytest.approx(20 * math.log10(peak / 0.01), abs=0.01)
    expected = 0.01 * (32 * 28) ** 0.5 / float(torch.linalg.vector_norm(target))
    assert found["nrmse"] == pytest.approx(expected, rel=1e-3)


def test_zero_has_the_error_of_the_whole_image() -> None:
    assert float(nrmse(0 * image(), image())) == pytest.approx(1)
    assert float(hfen(0 * image(), image())) == pytest.approx(1)


def test_hfen_sees_edges_and_not_offsets() -> None:
    target = image()
    inside = target.abs().to(torch.complex64)
    kernel = log_kernel()
    assert float(kernel.sum()) == pytest.approx(0, abs=1e-6)
    assert kernel.shape == (15, 15)
    assert torch.equal(kernel, kernel.T)
    blurred = torch.nn.functional.avg_pool2d(inside.real[None], 3, stride=1, padding=1)[0]
    assert float(hfen(blurred.to(torch.complex64), inside)) > 0.3
    assert float(hfen(1.1 * inside, inside)) == pytest.approx(0.1, rel=1e-3)


def test_metrics_of_magnitudes_do_not_see_the_phase() -> None:
    turned = image() * torch.exp(torch.tensor(0.7j))
    assert float(ssim(turned, image())) == pytest.approx(1, abs=1e-5)
    assert float(hfen(turned, image())) == pytest.approx(0, abs=1e-5)
    assert float(nrmse(turned, image())) > 0.5
