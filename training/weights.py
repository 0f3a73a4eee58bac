"""Weights files: a network without its training state, in safetensors, with the config that builds it in the file's metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from smug_recon.errors import ConfigurationError
from smug_recon.network.build import build_denoiser, build_network
from smug_recon.network.unrolling import Unrolled
from smug_recon.training.config import NetworkConfig
from smug_recon.whole_file import whole_file


def network_of(config: NetworkConfig) -> Unrolled:
    """Build the network that a training config describes."""
    return build_network(
        config.method,
        build_denoiser(config.denoiser, config.channels, config.blocks),
        steps=config.steps,
        lam=config.lam,
        learned_lambda=config.learned_lambda,
        iterations=config.iterations,
        tolerance=config.tolerance,
        sigma=config.sigma,
        sampling=config.sampling,
        mirror=config.mirror,
        shared_noise=config.shared_noise,
        reading=config.reading,
        weighting=config.weighting,
    )


def save_weights(path: Path, config: NetworkConfig, state: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write the weights of a network and what is known about them, whole or not at all.

    Args:
        path: ``NAME.safetensors``. config: builds the network. state: its state dict. about: name, updates, commit, data ...
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"network": config.model_dump_json(), "about": json.dumps(about)}
    with whole_file(path) as unfinished:
        save_file({name: value.contiguous() for name, value in state.items()}, unfinished, metadata)


def read_about(path: Path) -> tuple[NetworkConfig, dict[str, Any]]:
    """Return the config of the network in a weights file and what is known about it.

    Raises:
        ConfigurationError: no such file, or no weights file of this project.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        return NetworkConfig.model_validate_json(metadata["network"]), json.loads(metadata.get("about", "{}"))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ConfigurationError(
            f"{path}, which is no weights file ({type(error).__name__})",
            "safetensors with the network in its metadata",
            "train the network and write its weights: smug-recon train, smug-recon export -o NAME.safetensors",
        ) from error


def load_network(path: Path) -> tuple[Unrolled, dict[str, Any]]:
    """Build the network of a weights file; return it in evaluation mode, and what is known about it.

    Raises:
        ConfigurationError: no weights file.
    """
    config, about = read_about(path)
    network = network_of(config)
    network.load_state_dict(load_file(path))
    return network.eval(), about


def start_from(network: nn.Module, path: Path) -> None:
    """Take over every weight of a file that the network has too: another method may begin where one has ended.

    Raises:
        ConfigurationError: a weight of the file's denoiser does not fit, or it has none of the network's.
    """
    read_about(path)
    given, own = load_file(path), network.state_dict()
    shared = {name: value for name, value in given.items() if name in own}
    wrong = [name for name, value in shared.items() if value.shape != own[name].shape]
    if wrong or not any("denoiser" in name for name in shared):
        raise ConfigurationError(
            f"{path}, whose denoiser is another one ({', '.join(wrong[:2]) or 'no weight in common'})",
            "the denoiser of the training config",
            "correct start or network in the training config",
        )
    network.load_state_dict({**own, **shared})
