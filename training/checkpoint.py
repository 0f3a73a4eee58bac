"""Checkpoints: written whole or not at all, read without running code."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from smug_recon.errors import ConfigurationError
from smug_recon.training.config import TrainingConfig
from smug_recon.training.output import write_whole


def save_checkpoint(path: Path, state: dict[str, Any], config: TrainingConfig) -> None:
    """Write state and config next to ``path`` and rename: a kill at any moment leaves the old or the new file. OutputError."""
    content = io.BytesIO()
    torch.save({"state": state, "config": config.model_dump_json()}, content)
    write_whole(path, content.getbuffer())


def load_checkpoint(path: Path, config: TrainingConfig | None = None) -> dict[str, Any]:
    """Read a checkpoint's state (tensors and plain values only).

    Args:
        path: the file. config: where given, its network must be the one that was trained.

    Raises:
        ConfigurationError: the checkpoint holds another network.
    """
    content = _content(path)
    if config is not None:
        trained = TrainingConfig.model_validate_json(content["config"])
        if trained.network != config.network:
            raise ConfigurationError(
                f"{path} holds the network {trained.network}",
                f"{config.network}",
                "train into another folder or restore the config",
            )
    return dict(content["state"])


def checkpoint_config(path: Path) -> TrainingConfig:
    """Return the config that a checkpoint was trained with."""
    return TrainingConfig.model_validate_json(_content(path)["config"])


def _content(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return {"state": content["state"], "config": content["config"]}
    except Exception as error:  # whatever comes of the bytes; nothing in them is run
        raise ConfigurationError(
            f"{path}, which is no checkpoint of tensors and plain values ({type(error).__name__})",
            "checkpoint.pt of a training run",
            "give one; files that need code to be read are not read",
        ) from None
