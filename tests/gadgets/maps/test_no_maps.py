"""Coil maps that cannot be had cost a slice its network and CG-SENSE, never the scan: the root-sum-of-squares, marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import simulated
import torch
from failing import SLICES, marked, outputs, plain
from simulated import POISSON

from smug_recon.gadgets.flow.items import Slice
from smug_recon.gadgets.flow.kinds import COIL_MAPS
from smug_recon.gadgets.maps import coils, slab_maps
from smug_recon.gadgets.solve.fallback import RSS, root_sum_of_squares


def fails_at_slice(monkeypatch: pytest.MonkeyPatch, number: int, how: str) -> list[Slice]:
    """Let the estimation of one slice raise, or give NaN; the slices that pass, in their order."""
    whole, seen = coils._estimate, []

    def stand_in(item: Slice, *rest: Any) -> Any:
        seen.append(item)
        if len(seen) - 1 == number and how == "raise":
            raise torch.linalg.LinAlgError("the algorithm failed to converge")
        found = whole(item, *rest)
        if len(seen) - 1 == number:
            assert item.maps_cyx is not None
            item.maps_cyx = item.maps_cyx * float("nan")
        return found

    monkeypatch.setattr(coils, "_estimate", stand_in)
    return seen


@pytest.mark.parametrize(
    ("how", "reason"), [("raise", "failed to converge"), ("nan", "coil maps that are not finite")]
)
def test_coil_maps_that_fail_cost_one_slice(
    conventional_model: Any, monkeypatch: pytest.MonkeyPatch, how: str, reason: str
) -> None:
    slices = fails_at_slice(monkeypatch, 1, how)
    settings = {"images.conventional": True, "images.uncertainty": True, "images.type": "float32"}
    found, report = outputs(conventional_model, **settings)
    by_slice = [[image for image in found if image.slice == index] for index in range(SLICES)]
    assert [[image.image_series_index for image in images] for images in by_slice] == [
        [1, 2, 3],
        [1, 2],
        [1, 2, 3],
    ]
    assert all(plain(image) for index in (0, 2) for image in by_slice[index])
    assert all(marked(image, RSS, reason) for image in by_slice[1])
    expected_yx = root_sum_of_squares(slices[1].kspace_cyx[None], [2])[0].real.numpy()
    assert all(np.allclose(image.data[0, 0], expected_yx, rtol=1e-5) for image in by_slice[1])
    assert "undersampling is not resolved" in by_slice[1][0].meta["ImageComments"]
    assert report.fallback_kinds == {COIL_MAPS: 1} and report.fallbacks == 1


def test_positions_of_a_slab_without_maps_fall_back_alone(
    conventional_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = simulated.scan(**POISSON)

    def run() -> Any:
        items, head = simulated.readouts_of(raw), simulated.header_of(raw)
        settings = {"images.type": "complex64", "images.conventional": True, "images.uncertainty": True}
        return simulated.reconstructed(items, head, conventional_model, **settings)

    whole = run()
    maps_at, calls = slab_maps.maps_at, iter(range(999))

    def fails(*arguments: Any) -> Any:
        if next(calls) == 1:
            raise torch.linalg.LinAlgError("the algorithm failed to converge")
        return maps_at(*arguments)

    monkeypatch.setattr(slab_maps, "maps_at", fails)
    found = run()
    assert [image.image_series_index for image in found.images] == [1] * 8 + [2] * 8
    assert all(marked(image, RSS, "failed to converge") for image in found.images[:8])
    assert all(marked(image, RSS, "CG-SENSE failed") for image in found.images[8:])
    assert found.report.fallback_kinds == {COIL_MAPS: 1}
    for image, expected in zip(found.images[:8], whole.images, strict=False):
        assert np.array_equal(image.data[..., 16:], expected.data[..., 16:])
        assert np.isfinite(image.data).all() and np.abs(image.data[..., 8:16]).any()


def test_maps_that_failed_are_not_kept_for_the_next_repetition(
    conventional_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from small_scan import SmallScan, header

    from smug_recon.gadgets.scan import run
    from smug_recon.pipeline import load_pipeline

    made = SmallScan()
    made.add_noise_scan()
    for number in range(2):
        made.add_slice(0, repetition=number)
    fails_at_slice(monkeypatch, 0, "nan")
    found: list[Any] = []
    run(made.readouts, found.append, header(repetitions=2), load_pipeline(), conventional_model)
    assert [plain(image) for image in found[1:]] == [True] and marked(found[0], RSS, "not finite")
