"""The weights between two checkpoints of one network: what a later training bought, without all of what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from smug_recon.errors import ConfigurationError
from smug_recon.training.checkpoint import checkpoint_config, load_checkpoint


@dataclass(frozen=True)
class Blend:
    """Another checkpoint, and its share of every weight, between 0 and 1."""

    checkpoint: Path
    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ConfigurationError(
                f"a share of {self.share:g}",
                "one between 0 and 1",
                "leave the blend out, or export the other",
            )

    def about(self) -> dict[str, Any]:
        """Return what a card says of it."""
        state = load_checkpoint(self.checkpoint)
        name = checkpoint_config(self.checkpoint).name
        return {"with": name, "stage": state["stage"], "update": state["update"], "share": self.share}


def blended(weights: dict[str, Tensor], blend: Blend) -> dict[str, Tensor]:
    """Return ``(1 - share) w + share w'``, of lambda its logarithm; w' are the averaged weights of the other checkpoint.

    Between a network and one that was trained on from it, the weights on the straight line are often as accurate as the first
    and nearly as robust as the second (Wortsman 2022, arXiv 2109.01903).

    Raises:
        ConfigurationError: it is another network.
    """
    others = load_checkpoint(blend.checkpoint)["averaged"]
    if {name: value.shape for name, value in weights.items()} != {
        name: value.shape for name, value in others.items()
    }:
        raise ConfigurationError(
            f"{blend.checkpoint}, a network of other weights",
            "two checkpoints of one network",
            "blend only what was trained on from the same weights",
        )
    return {
        name: value.lerp(others[name], blend.share) if value.is_floating_point() else value
        for name, value in weights.items()
    }
