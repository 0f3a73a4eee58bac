"""Scores compare shapes, not levels; the panel shows every slice asked for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smug_recon.simulation.truth.panel import MARGIN, write_panel
from smug_recon.simulation.truth.scores import best_scale, score


@pytest.fixture
def truth() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.random((2, 32, 24)) * np.exp(1j * rng.random((2, 32, 24)))).astype(np.complex64)


def test_scale_and_phase_do_not_count(truth: np.ndarray) -> None:
    found = score(37 * np.abs(truth) * np.exp(-2j), truth)
    assert found.psnr_db > 120
    assert found.ssim == pytest.approx(1, abs=1e-5)
    assert found.nrmse < 1e-6


def test_psnr_is_that_of_the_residual_after_the_best_scale(truth: np.ndarray) -> None:
    wanted = np.abs(truth).astype(np.float64)
    noisy = wanted + 0.05 * np.random.default_rng(1).standard_normal(wanted.shape)
    factor = best_scale(noisy, wanted)
    slopes = [
        ((step * np.abs(noisy) - wanted) ** 2).mean() for step in (factor * 0.99, factor, factor * 1.01)
    ]
    assert slopes[1] < slopes[0] and slopes[1] < slopes[2]
    assert score(noisy, truth).psnr_db == pytest.approx(
        10 * math.log10(wanted.max() ** 2 / slopes[1]), abs=1e-6
    )


def test_an_empty_image_scores_badly_and_does_not_fail(truth: np.ndarray) -> None:
    found = score(np.zeros_like(truth), truth)
    assert found.nrmse == pytest.approx(1) and math.isfinite(found.psnr_db)


def test_panel_has_a_column_for_truth_series_and_errors(truth: np.ndarray, tmp_path: Path) -> None:
    write_panel(truth, {"a": truth, "b": 0 * truth}, tmp_path / "panel.png", rows=5)
    with Image.open(tmp_path / "panel.png") as sheet:
        assert sheet.size == (5 * 24, 2 * (32 + MARGIN))
        pixels = np.asarray(sheet)
    assert pixels[MARGIN:32, 24:48].max() > 0 and pixels[MARGIN + 1 : MARGIN + 32, 72:96].max() == 0
