"""Fallbacks within a 3-D slab: by position, by partition, and what is said of them."""

from __future__ import annotations

from typing import Any

import ismrmrd
import numpy as np
import simulated
from failing import Raises, marked, plain

from smug_recon.gadgets.solve.fallback import CG_SENSE
from smug_recon.replay.offline import is_fallback


def test_positions_of_a_slab_fall_back_alone(conventional_model: Any) -> None:
    """One batch of positions raises: its columns are those of CG-SENSE, the others those of the network."""
    raw = simulated.scan(**simulated.POISSON)
    settings = {"images.conventional": True, "images.type": "complex64", "images.uncertainty": True}

    def run_with(model: Any) -> Any:
        items, head = simulated.readouts_of(raw), simulated.header_of(raw)
        return simulated.reconstructed(items, head, model, **settings)

    found = run_with(Raises(conventional_model, ValueError("a fault"), 1))
    whole = run_with(conventional_model)
    assert [image.image_series_index for image in found.images] == [1] * 8 + [2] * 8
    assert [image.image_series_index for image in whole.images] == [1] * 8 + [2] * 8 + [3] * 8
    assert all(marked(image, CG_SENSE, "a fault") and plain(other) for image, other in pairs(found.images))
    assert found.report.fallbacks == 1
    for z in range(8):
        smug, beside, expected = (
            i.data[0, 0] for i in (found.images[z], found.images[8 + z], whole.images[z])
        )
        assert np.array_equal(smug[:, 8:16], beside[:, 8:16])
        assert np.array_equal(smug[:, 16:], expected[:, 16:]) and np.array_equal(smug[:, :8], expected[:, :8])


def pairs(images: list[ismrmrd.Image]) -> Any:
    return zip(images[:8], images[8:16], strict=True)


def test_a_slab_sampled_in_two_dimensions_is_outside_the_trained_range(conventional_model: Any) -> None:
    raw = simulated.scan(**simulated.POISSON)
    never = Raises(conventional_model, AssertionError("the network was run"), *range(99))
    items, head = simulated.readouts_of(raw), simulated.header_of(raw)
    found = simulated.reconstructed(items, head, never, strict=True)
    assert all(marked(image, CG_SENSE, "strict: two-dimensional") for image in found.images)
    assert found.report.fallbacks == 1 and found.nrmse(raw.truth.whitened_syx) < 0.2


def test_a_partition_that_falls_back_keeps_no_map_of_the_others(conventional_model: Any) -> None:
    raw = simulated.scan(**{**simulated.SLAB, "acceleration": 1.0, "calibration": "none"})
    items, head = simulated.readouts_of(raw), simulated.header_of(raw)
    model = Raises(conventional_model, ValueError("a fault"), 3)
    found = simulated.reconstructed(items, head, model, **{"images.uncertainty": True})
    maps = [image.slice for image in found.images if image.image_series_index == 3]
    assert [image.slice for image in found.images if image.image_series_index == 1] == list(range(8))
    assert maps == [0, 1, 2, 4, 5, 6, 7]
    assert [is_fallback(image) for image in found.images[:8]] == [z == 3 for z in range(8)]
