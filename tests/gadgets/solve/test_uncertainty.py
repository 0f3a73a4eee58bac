"""The spread over the smoothing copies as a third series: its own role, index and window, the units of the image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_scan import header, whole_scan

from smug_recon.errors import ConfigurationError
from smug_recon.gadgets.maps.folding import folded_network
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline


class Spreads:
    """The stand-in of the stage tests with a spread of a tenth of its image."""

    def __init__(self, model: Any, fails: int = -1) -> None:
        self.model, self.fails, self.calls = model, fails, -1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def forward(self, *arguments: Any) -> Any:
        self.calls += 1
        image_byx, _ = self.model.forward(*arguments)
        return image_byx * (float("nan") if self.calls == self.fails else 1.0), 0.1 * image_byx.abs()


def outputs(model: Any, **overrides: Any) -> list[Any]:
    found: list[Any] = []
    pipeline = load_pipeline().with_overrides({"images.uncertainty": True, **overrides})
    run(whole_scan(3).readouts, found.append, header(slices=3), pipeline, model)
    return found


def test_the_map_is_a_third_series_with_its_own_role_and_window(conventional_model: Any) -> None:
    found = outputs(Spreads(conventional_model), **{"images.conventional": True})
    assert [image.image_series_index for image in found] == [1, 2, 3] * 3
    image, _, spread = found[:3]
    assert spread.meta["DataRole"] == spread.meta["GADGETRON_DataRole"] == ["Image", "Uncertainty"]
    assert spread.meta["SeriesDescription"] == "head SMUG uncertainty"
    assert "standard deviation over 2 smoothing copies" in spread.meta["ImageComments"]
    assert float(spread.meta["WindowWidth"]) == pytest.approx(
        0.1 * float(image.meta["WindowWidth"]), rel=0.02
    )
    assert (spread.slice, spread.image_index) == (image.slice, image.image_index)
    assert spread.meta["SmugModelSha256"] == image.meta["SmugModelSha256"]


def test_it_is_read_in_the_units_of_the_image(conventional_model: Any) -> None:
    found = outputs(Spreads(conventional_model))
    for image, spread in zip(found[0::2], found[1::2], strict=True):
        assert spread.meta["ScaleFactor"] == image.meta["ScaleFactor"]
        assert np.abs(0.1 * image.data.astype(float) - spread.data).max() <= 0.55  # both rounded


@pytest.mark.parametrize("kind", ["float32", "complex64"])
def test_it_is_a_magnitude_in_every_type(conventional_model: Any, kind: str) -> None:
    image, spread = outputs(Spreads(conventional_model), **{"images.type": kind})[:2]
    assert spread.data.dtype == np.float32
    assert np.allclose(spread.data, 0.1 * np.abs(image.data), rtol=1e-4)


def test_a_slice_without_the_network_has_no_map(conventional_model: Any) -> None:
    found = outputs(Spreads(conventional_model, fails=1))
    assert [(image.image_series_index, image.slice) for image in found] == [
        (1, 0),
        (3, 0),
        (1, 1),
        (1, 2),
        (3, 2),
    ]


def test_it_is_off_by_default_and_needs_copies_to_compare(conventional_model: Any) -> None:
    off = outputs(Spreads(conventional_model), **{"images.uncertainty": False})
    assert {image.image_series_index for image in off} == {1}
    with pytest.raises(ConfigurationError, match="samples of at least 2"):
        outputs(conventional_model, samples=1)


def test_two_sets_of_maps_share_their_spread_by_the_power_of_their_images() -> None:
    torch.manual_seed(3)
    maps_bscyx = torch.randn(1, 2, 4, 8, 8, dtype=torch.complex64)
    maps_bscyx[:, 1, :, :, 4:] = 0  # nothing folds here

    class Constant:
        calls = 0

        def forward(self, kspace: Any, maps: Any, mask: Any, seed: int, samples: int) -> Any:
            self.calls += 1
            size = 3.0 if self.calls != 2 else 4.0
            image = torch.full((1, 8, 8), size, dtype=torch.complex64) * maps.abs().any(1)
            return image, torch.full((1, 8, 8), 0.5 * size)

    kspace = torch.randn(1, 4, 8, 8, dtype=torch.complex64)
    _, spread = folded_network(kspace, maps_bscyx, torch.ones(1, 8), Constant(), 0, 2)  # type: ignore[arg-type]
    assert torch.allclose(spread[..., 4:], torch.full((8, 4), 1.5))
    expected = ((9 * 1.5**2 + 16 * 2.0**2) / 25) ** 0.5
    assert torch.allclose(spread[..., :4], torch.full((8, 4), expected))
