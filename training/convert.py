"""A trained checkpoint becomes a model file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from smug_recon.errors import ConfigurationError
from smug_recon.training.blend import Blend, blended
from smug_recon.training.checkpoint import checkpoint_config, load_checkpoint
from smug_recon.training.config import DataConfig
from smug_recon.training.export import commit_of, export, make_card
from smug_recon.training.material import describe
from smug_recon.training.output import written
from smug_recon.training.slices import read_volumes
from smug_recon.training.sources import SimulatedScans, Source, open_source
from smug_recon.training.validation import validate
from smug_recon.training.weights import network_of, save_weights

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def convert(
    checkpoint: Path,
    model: Path,
    metrics: dict[str, Any] | None = None,
    slices: Path | None = None,
    splits: Sequence[str] = (),
    count: int = 32,
    running: dict[str, Any] | None = None,
    precision: str = "float32",
    blend: Blend | None = None,
) -> dict[str, Any]:
    """Export the averaged weights of a checkpoint as a TorchScript model, or as a weights file (``.safetensors``); return the card.

    Args:
        checkpoint: of :func:`smug_recon.training.loop.train`. model: TorchScript file to write.
        running: settings of the network that need no training and replace the config's: mirror, iterations, tolerance.
        metrics: measured elsewhere, for the card.
        precision: of the denoiser in a model file, float32 or bfloat16; the card says which, figures are measured in it.
        blend: another checkpoint of the network, which has a share in the weights.
        slices, splits: held-out subjects to measure on, ``count`` scans a split: a file of slices, or a folder of
            raw files, which has no splits and is measured once, as ``held-out``.
    """
    config = checkpoint_config(checkpoint)
    config = config.model_copy(update={"network": config.network.model_copy(update=running or {})})
    state = load_checkpoint(checkpoint)
    network = network_of(config.network)
    weights = state["averaged"] if blend is None else blended(state["averaged"], blend)
    network.load_state_dict(weights)
    with written(model.parent):  # now, not after an hour of measuring
        model.parent.mkdir(parents=True, exist_ok=True)
    if precision not in PRECISIONS:
        raise ConfigurationError(f"precision {precision!r}", f"one of {', '.join(PRECISIONS)}", "choose one")
    if model.suffix != ".safetensors":
        network.regulariser.get_submodule("denoiser").to(PRECISIONS[precision])
    done = {
        f"{number} {stage.task}": stage.updates if number < state["stage"] else int(state["update"])
        for number, stage in enumerate(config.stages)
        if number <= state["stage"]
    }
    measured = dict(metrics or {})
    if slices is not None:
        for split in ("held-out",) if slices.is_dir() else splits:
            measured[split] = validate(network, _held_out(slices, split, config.data), count)
    material = describe(config.data, open_source(config.data))
    if model.suffix == ".safetensors":
        about = {
            "name": config.name,
            "updates": done,
            "seed": config.seed,
            "commit": commit_of(Path(__file__).parent),
            "training_data": material.sources,
            "metrics": measured,
        }
        if blend is not None:
            about["blend"] = blend.about()
        save_weights(model, config.network, weights, about)
        return about
    card = make_card(network, config, material, measured, done)
    card["denoiser"]["precision"] = precision
    if blend is not None:
        card["training"]["blend"] = blend.about()
    export(network, card, model)
    return card


def _held_out(held_out: Path, split: str, data: DataConfig) -> Source:
    """Return the scans to measure on: of a split of a slice file, or of a folder of raw files, in the cache of training."""
    if held_out.is_dir():
        return open_source(DataConfig(raw=held_out, cache=data.cache, scans=data.scans))
    return SimulatedScans(read_volumes(held_out, split), data.scans)
