"""Where CG-SENSE fails too: the root-sum-of-squares of the acquired lines, finite whatever comes in."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from failing import SLICES, marked, outputs
from full_slice import full_slice
from torch import Tensor

from smug_recon.gadgets.solve import unroll as stage
from smug_recon.gadgets.solve.fallback import RSS, conventional, root_sum_of_squares


def test_cg_sense_that_fails_is_replaced_by_the_root_sum_of_squares(
    conventional_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Tensor:
        raise RuntimeError("no iteration")

    monkeypatch.setattr(stage, "cg_sense", fails)
    conventional_model.broken = True
    found, report = outputs(conventional_model, **{"images.conventional": True})
    assert len(found) == 2 * SLICES
    assert all(marked(image, RSS, "not finite") for image in found[0::2])
    assert all(marked(image, RSS, "no iteration") for image in found[1::2])
    assert all("undersampling is not resolved" in image.meta["ImageComments"] for image in found)
    assert report.fallbacks == SLICES
    assert all(image.data.any() for image in found)


def test_the_root_sum_of_squares_of_a_full_slice_is_its_image() -> None:
    item, truth_yx = full_slice()
    found = root_sum_of_squares(item.kspace_cyx[None], [2])[0]
    assert torch.allclose(found.real, truth_yx, atol=1e-5) and not bool(found.imag.any())


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 3e38])
def test_the_last_resort_is_finite_whatever_comes_in(bad: float) -> None:
    item, truth_yx = full_slice()
    item.kspace_cyx[1, 5, 7] = bad

    def solve(where: torch.device) -> Tensor:
        return torch.full((1, *truth_yx.shape), float("nan"), dtype=torch.complex64)

    image_byx, method, why = conventional(item.kspace_cyx[None], [2], solve, torch.device("cpu"))
    assert method == RSS and "not finite" in why
    assert bool(torch.isfinite(image_byx.abs()).all()) and bool(image_byx.any())
