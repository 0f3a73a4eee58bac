"""The network stage: the image of the model, a marked fallback if it is not finite, CG-SENSE on request."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from full_slice import full_slice
from small_scan import LINES_Y, header

from smug_recon.gadgets.flow.items import Reconstruction
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.solve.unroll import CG_SENSE, SMUG, unroll
from smug_recon.pipeline import load_pipeline


def images(model: Any, report: Report | None = None, **overrides: Any) -> list[Reconstruction]:
    plan = build_plan(header(), load_pipeline().with_overrides(overrides))
    return list(unroll([full_slice()[0]], plan, model, report or Report()))


def test_the_image_of_the_model_leaves_with_what_is_known_of_it(conventional_model: Any) -> None:
    (found,) = images(conventional_model)
    truth_yx = full_slice()[1]
    assert found.role == SMUG
    assert found.image_yx.dtype == torch.complex64
    assert torch.allclose(
        found.image_yx.abs(), truth_yx, atol=2e-2 * float(truth_yx.max())
    )  # CG-SENSE shrinks by 1 %
    assert (found.lines, found.sampled_lines, found.coils, found.notes) == (LINES_Y, LINES_Y, 4, ["a note"])
    assert not found.fallback


def test_equal_seed_equal_pixels_other_seed_other_pixels(conventional_model: Any) -> None:
    first, second = images(conventional_model, seed=5)[0], images(conventional_model, seed=5)[0]
    other = images(conventional_model, seed=6)[0]
    assert torch.equal(first.image_yx, second.image_yx)
    assert not torch.equal(first.image_yx, other.image_yx)


def test_an_image_that_is_not_finite_is_replaced_marked_and_counted(conventional_model: Any) -> None:
    conventional_model.broken, report = True, Report()
    (found,) = images(conventional_model, report)
    assert found.fallback
    assert report.fallbacks == 1
    assert any("FALLBACK" in note for note in found.notes)
    truth_yx = full_slice()[1]
    assert torch.allclose(
        found.image_yx.abs(), truth_yx, atol=2e-2 * float(truth_yx.max())
    )  # CG-SENSE shrinks by 1 %


@pytest.mark.parametrize("broken", [False, True])
def test_cg_sense_leaves_beside_it_on_request(conventional_model: Any, broken: bool) -> None:
    conventional_model.broken = broken
    smug, conventional = images(conventional_model, **{"images.conventional": True})
    assert (smug.role, conventional.role) == (SMUG, CG_SENSE)
    assert not conventional.fallback
    if broken:
        assert torch.equal(smug.image_yx, conventional.image_yx)


def test_a_slice_without_signal_gives_an_empty_image(conventional_model: Any) -> None:
    item, _ = full_slice()
    item.kspace_cyx = torch.zeros_like(item.kspace_cyx)
    (found,) = unroll([item], build_plan(header(), load_pipeline()), conventional_model, Report())
    assert not bool(found.image_yx.any())
    assert "no signal" in found.notes
    assert not found.fallback


def test_foreign_items_pass(conventional_model: Any) -> None:
    plan = build_plan(header(), load_pipeline())
    assert list(unroll(["foreign"], plan, conventional_model, Report())) == ["foreign"]
