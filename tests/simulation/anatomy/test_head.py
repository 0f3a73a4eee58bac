"""The synthetic head is one object in space, with the contrasts of the tissues it is made of."""

from __future__ import annotations

import numpy as np
import pytest

from smug_recon.simulation.anatomy.fields import RandomField
from smug_recon.simulation.anatomy.head import Head
from smug_recon.simulation.anatomy.tissue import CONTRASTS, INDEX, TISSUES


def plane(height: float, step: float = 3.0) -> np.ndarray:
    x, a = np.meshgrid(np.arange(-84, 84, step), np.arange(-120, 90, step))
    return np.stack([x, a, np.full_like(x, height)], -1).reshape(-1, 3).astype(np.float32)


@pytest.fixture(scope="module")
def head() -> Head:
    return Head(5)


def test_shares_are_a_partition(head: Head) -> None:
    share = head.tissues(plane(12.0))
    np.testing.assert_allclose(share.sum(0), 1, atol=1e-4)
    assert share.min() >= 0


def test_a_brain_slice_holds_the_tissues_of_a_brain(head: Head) -> None:
    share = head.tissues(plane(12.0))
    part = share.sum(1) / (share[1:].sum())
    assert 0.15 < part[INDEX["white matter"]] < 0.5
    assert 0.15 < part[INDEX["grey matter"]] < 0.5
    assert 0.02 < part[INDEX["csf"]] < 0.25
    for name in ("skin", "fat", "compact bone", "marrow", "striatum", "thalamus"):
        assert part[INDEX[name]] > 0.001, name


def test_points_do_not_depend_on_the_company_they_are_asked_in(head: Head) -> None:
    points = plane(20.0)
    alone = head.signal(points[700:900], CONTRASTS["t1w"])
    together = head.signal(points, CONTRASTS["t1w"])
    for few, many in zip(alone, together, strict=True):
        np.testing.assert_allclose(few, many[700:900], atol=1e-4)


def test_near_leaves_out_air_only(head: Head) -> None:
    points = plane(-30.0)
    assert head.tissues(points[~head.near(points)])[0].min() > 0.999


def test_individuals_differ_and_a_seed_is_one_individual() -> None:
    first, again, other = (Head(seed).signal(plane(10.0, 6.0), CONTRASTS["t2w"])[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.corrcoef(first, other)[0, 1] < 0.95


def test_contrasts_order_the_tissues_as_known() -> None:
    t1w, t2w, flair = (
        dict(zip(INDEX, CONTRASTS[name].signals(), strict=True)) for name in ("t1w", "t2w", "flair")
    )
    assert t1w["white matter"] > 1.2 * t1w["grey matter"] > 1.2 * abs(t1w["csf"])
    assert t2w["csf"] > 1.5 * t2w["grey matter"] > 1.5 * t2w["white matter"]
    assert flair["grey matter"] > flair["white matter"] > 3 * abs(flair["csf"])


def test_signal_equation_of_the_spin_echo() -> None:
    white = TISSUES[INDEX["white matter"]]
    contrast = CONTRASTS["t2w"]
    expected = (
        white.proton_density
        * (1 - np.exp(-contrast.tr_ms / white.t1_ms))
        * np.exp(-contrast.te_ms / white.t2_ms)
    )
    assert contrast.signal(white) == pytest.approx(expected)


def test_random_field_has_unit_variance_and_its_gradient() -> None:
    field = RandomField(np.random.default_rng(0), 20.0, waves=200)
    points = np.random.default_rng(1).uniform(-500, 500, (4000, 3)).astype(np.float32)
    value, gradient = field.value_and_gradient(points)
    assert value.std() == pytest.approx(1, abs=0.06)
    np.testing.assert_allclose(value, field.value(points), atol=1e-4)
    step = np.array([0.1, 0, 0], np.float32)
    np.testing.assert_allclose(
        (field.value(points + step) - field.value(points - step)) / 0.2, gradient[:, 0], atol=5e-3
    )
