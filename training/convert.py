"""A trained checkpoint becomes a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smug_recon.training.checkpoint import checkpoint_config, load_checkpoint
from smug_recon.training.export import export, make_card
from smug_recon.training.loop import network_of
from smug_recon.training.slices import read_volumes


def convert(checkpoint: Path, model: Path, metrics: dict[str, Any] | None = None) -> dict[str, Any]:
    """Export the averaged weights of a checkpoint; return the card.

    Args:
        checkpoint: of :func:`smug_recon.training.loop.train`. model: TorchScript file to write. metrics: measured, for the card.
    """
    config = checkpoint_config(checkpoint)
    state = load_checkpoint(checkpoint)
    network = network_of(config.network)
    network.load_state_dict(state["averaged"])
    done = {
        f"{number} {stage.task}": stage.updates if number < state["stage"] else int(state["update"])
        for number, stage in enumerate(config.stages)
        if number <= state["stage"]
    }
    card = make_card(
        network, config, read_volumes(config.data.slices, config.data.split), metrics or {}, done
    )
    export(network, card, model)
    return card
