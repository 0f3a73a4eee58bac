"""A stand-in for the network whose image differs from CG-SENSE and which has an uncertainty."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("gadget_fixtures", TESTS / "gadgets" / "conftest.py")
assert spec is not None and spec.loader is not None
gadget_fixtures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gadget_fixtures)


class SpreadingModel(gadget_fixtures.ConventionalModel):
    """The stand-in of the stage tests, with an uncertainty and an image that differs from CG-SENSE."""

    def forward(self, kspace: Any, maps: Any, mask: Any, seed: int, samples: int) -> Any:
        image_byx, _ = super().forward(kspace, maps, mask, seed, samples)
        return image_byx * 0.9, 0.05 * image_byx.abs() + 0.01


def make_model(**differently: Any) -> SpreadingModel:
    """A model for every matrix and acceleration."""
    from smug_recon.gadgets.model.file import read_card
    from smug_recon.pipeline import load_pipeline

    card = read_card(load_pipeline().model_path)
    wide = {"matrix_yx": ((1, 999), (1, 999)), "coils": (1, 99), "acceleration": (1, 99)}
    model = SpreadingModel(
        card.model_copy(update={"trained_range": card.trained_range.model_copy(update=wide)})
    )
    for name, value in differently.items():
        setattr(model, name, value)
    return model
