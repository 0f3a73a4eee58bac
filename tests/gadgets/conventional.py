"""A stand-in for the network: CG-SENSE behind the interface of the model, for any matrix and number of coils."""

from __future__ import annotations

from typing import Any

import torch

from smug_recon.gadgets.model.card import Card
from smug_recon.gadgets.model.file import read_card
from smug_recon.physics import cg_sense
from smug_recon.pipeline import load_pipeline


def wide_card() -> Card:
    """The card of the shipped model, trained on everything."""
    card = read_card(load_pipeline().model_path)
    wide = {"matrix_yx": ((1, 999), (1, 999)), "coils": (1, 99), "acceleration": (1, 99)}
    return card.model_copy(update={"trained_range": card.trained_range.model_copy(update=wide)})


class ConventionalModel:
    """Runs CG-SENSE where a model runs its network; ``noise``: a trace of seeded noise, to see that seeds arrive."""

    def __init__(self, card: Card | None = None, iterations: int = 15, noise: float = 0.0) -> None:
        self.card = card or wide_card()
        self.sha256 = "0" * 64
        self.device = torch.device("cpu")
        self.iterations, self.noise = iterations, noise
        self.broken = False

    def forward(self, kspace: Any, maps: Any, mask: Any, seed: int, samples: int) -> Any:
        image_byx = cg_sense(kspace, maps, mask, 1e-3, self.iterations)
        if self.noise:
            drawn = torch.randn(image_byx.shape, generator=torch.Generator().manual_seed(seed))
            image_byx = image_byx + self.noise * drawn
        if self.broken:
            image_byx[0, 3, 3] = float("nan")
        return image_byx, torch.zeros(image_byx.shape)

    def warm_up(self, *_: int) -> float:
        return 0.0
