"""From a checkpoint to the model file: TorchScript with its card inside. The one place that writes TorchScript."""

from __future__ import annotations

import json
import subprocess
import warnings
from pathlib import Path
from typing import Any

import torch

from smug_recon import __version__
from smug_recon.network.unrolling import Unrolled
from smug_recon.training.config import TrainingConfig
from smug_recon.training.material import Material

FORMAT = "smug-recon-model/1"
SCALING_RULE = "mean of the brightest 1 % of |A^H y| becomes 1"


def commit_of(folder: Path) -> str:
    """Return the git commit of a folder, with ``+`` where tracked files differ from it, ``unknown`` outside a repository."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
        )
        clean = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=folder, check=False)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("" if clean.returncode == 0 else "+")


def make_card(
    network: Unrolled,
    config: TrainingConfig,
    material: Material,
    metrics: dict[str, Any],
    updates: dict[str, int],
) -> dict[str, Any]:
    """Return the model card: what the network is, what it was trained on, and how far it may be trusted.

    Args:
        network: as exported. config: of its training. material: that it saw.
        metrics: measured, by name. updates: trained, by stage.
    """
    scans = config.data.scans
    return {
        "format": FORMAT,
        "name": config.name,
        "version": __version__,
        "method": config.network.method,
        "denoiser": {"name": config.network.denoiser, "channels": list(config.network.channels)},
        "parameters": sum(value.numel() for value in network.parameters()),
        "steps": network.steps,
        "lambda": {
            "at_level_0.01": [round(value, 5) for value in network.log_lambda.detach().exp().tolist()],
            "exponent": round(network.exponent.detach().item(), 4),
        },
        "sigma": config.network.sigma,
        "samples": 2,
        "sampling": config.network.sampling,
        "mirror": config.network.mirror,
        "scaling": SCALING_RULE,
        "trained_range": {
            "anatomy": material.anatomy,
            "contrasts": material.contrasts,
            "matrix_yx": material.matrix_yx,
            "coils": material.coils,
            "acceleration": list(scans.acceleration),
            "calibration_lines": list(scans.calibration),
            "noise_level": list(scans.noise),
            "patterns": ["random", "regular"] if scans.random_fraction < 1 else ["random"],
        },
        "training": {"updates": updates, "seed": config.seed, "precision": config.precision},
        "training_data": material.sources,
        "metrics": metrics,
        "commit": commit_of(Path(__file__).parent),
    }


def export(network: Unrolled, card: dict[str, Any], path: Path) -> None:
    """Write the model file: ``forward(kspace_bcyx, maps_bcyx, mask, seed, samples) -> (image_byx, spread_byx)``.

    The card lies in ``_extra_files["card.json"]``. Written whole or not at all.
    """
    network = network.to("cpu").eval().requires_grad_(False)
    partial = path.with_suffix(".partial")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit.*", category=DeprecationWarning)
        scripted = torch.jit.script(network)
        torch.jit.save(
            scripted, str(partial), _extra_files={"card.json": json.dumps(card, indent=1).encode()}
        )
    partial.replace(path)
