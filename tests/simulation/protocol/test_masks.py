"""Masks sample as many positions as asked, the block in the centre, and keep the distances they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from smug_recon.simulation.protocol.masks import sampling_mask
from smug_recon.simulation.protocol.masks_zy import sampling_mask_zy, split


def draw(pattern: str, shape_zy: tuple[int, int], acceleration: float, acs: int, seed: int = 0) -> np.ndarray:
    centre_zy = (shape_zy[0] // 2, shape_zy[1] // 2)
    acs_zy = (min(acs, shape_zy[0]), acs)
    return sampling_mask_zy(
        shape_zy, centre_zy, acceleration, acs_zy, np.random.default_rng(seed), pattern=pattern
    )


@hypothesis_settings(max_examples=15, deadline=None)
@given(
    pattern=st.sampled_from(["random", "poisson"]),
    size_z=st.integers(1, 20),
    size_y=st.integers(16, 40),
    acceleration=st.floats(1, 5),
    seed=st.integers(0, 2**31),
)
def test_net_acceleration_is_exact_and_the_centre_is_full(
    pattern: str, size_z: int, size_y: int, acceleration: float, seed: int
) -> None:
    mask_zy = draw(pattern, (size_z, size_y), acceleration, 3, seed)
    block = mask_zy[max(size_z // 2 - 1, 0) : size_z // 2 + 1, size_y // 2 - 1 : size_y // 2 + 2]
    assert block.all()
    assert mask_zy.sum() == max(round(mask_zy.size / acceleration), 3 * min(3, size_z))


@pytest.mark.parametrize(
    ("acceleration", "steps"), [(2, (2, 1)), (3, (3, 1)), (4, (2, 2)), (6, (3, 2)), (9, (3, 3))]
)
def test_regular_sampling_is_a_lattice(acceleration: float, steps: tuple[int, int]) -> None:
    assert split(acceleration, 12) == steps and split(acceleration, 1) == (round(acceleration), 1)
    mask_zy = draw("regular", (12, 36), acceleration, 0)
    z, y = (np.unique(index) for index in np.nonzero(mask_zy))
    assert set(np.diff(z)) == {steps[1]} and set(np.diff(y)) == {steps[0]}
    np.testing.assert_array_equal(mask_zy, np.outer(mask_zy.any(1), mask_zy.any(0)))


def test_poisson_samples_keep_their_distance_and_spread_outwards() -> None:
    mask_zy = draw("poisson", (40, 48), 6, 0)
    points = np.argwhere(mask_zy)
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1) + 1e9 * np.eye(len(points))
    nearest = apart.min(1)
    radius = np.hypot((points[:, 0] - 20) / 20, (points[:, 1] - 24) / 24)
    assert nearest[radius > 0.6].min() >= 2
    assert nearest[radius > 0.8].mean() > 1.3 * nearest[radius < 0.4].mean()
    points = np.argwhere(draw("random", (40, 48), 6, 0))
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1) + 1e9 * np.eye(len(points))
    assert (apart.min(1) < 2).mean() > 0.5  # what random sampling does at the same rate


def test_one_partition_is_sampled_as_lines_are() -> None:
    for pattern in ("random", "regular"):
        lines_y = sampling_mask(48, 3, 8, np.random.default_rng(5), pattern=pattern)
        np.testing.assert_array_equal(draw(pattern, (1, 48), 3, 8, seed=5)[0], lines_y)
