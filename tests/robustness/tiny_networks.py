"""Networks of a few hundred weights that do something, and the scan that they see."""

from __future__ import annotations

from pathlib import Path

import torch

from smug_recon.robustness.methods.loading import network_method
from smug_recon.robustness.methods.network import NetworkMethod
from smug_recon.robustness.settings.methods import MethodSettings
from smug_recon.robustness.settings.scan import ScanSettings
from smug_recon.training.config import NetworkConfig
from smug_recon.training.weights import network_of

SCAN = ScanSettings(
    lines_y=32, coils=3, maps_width=12, calibration=8, acceleration=3.0, zoom=(0.3, 1.0), noise=0.01
)


def network_config(method: str, **changes: object) -> NetworkConfig:
    plain = {
        "channels": (6, 8),
        "steps": 2,
        "lam": 0.3,
        "sigma": 0.05,
        "iterations": 10,
        "tolerance": 1e-5,
        "sampling": "independent",
    }
    return NetworkConfig.model_validate({"method": method, **plain, **changes})


def tiny(method: str, samples: int = 2, seed: int = 0, strength: float = 0.3) -> NetworkMethod:
    """A network whose last layer is random: it does something, and it can be attacked."""
    network = randomised(network_config(method), seed, strength)
    return network_method(
        MethodSettings(name=method, weights=Path("none"), samples=samples), network, "random"
    )


def randomised(config: NetworkConfig, seed: int, strength: float = 0.3) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = network_of(config)
        last = network.regulariser.denoiser.last
        torch.nn.init.normal_(last.weight, std=strength)
    return network.eval().requires_grad_(False)
