"""The training config: one YAML file says everything that shapes a network. Unknown keys are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from smug_recon.errors import ConfigurationError


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScanConfig(_Part):
    """Distributions of the simulated scans; pairs are ranges, drawn uniformly (noise: log-uniformly).

    ``noisy_target``: the target is what the fully sampled scan shows, noise included, as where measured scans are the targets
    (fastMRI); otherwise the noise-free object. ``level_bias`` is added to the log noise level that the network is told: in real
    scans signal leaks into the estimate and raises it.
    """

    lines_y: tuple[int, ...] = (176, 192, 208, 224, 256, 320)
    slab_x: int = 96
    zoom: tuple[float, float] = (0.55, 1.3)
    gamma: tuple[float, float] = (0.8, 1.25)
    coils: tuple[int, int] = (4, 16)
    acceleration: tuple[float, float] = (3.5, 4.5)
    calibration: tuple[int, int] = (16, 32)
    random_fraction: float = 0.8
    decay: tuple[float, float] = (2.0, 4.0)
    noise: tuple[float, float] = (0.0015, 0.04)
    noisy_target: bool = True
    level_bias: tuple[float, float] = (0.0, 0.0)
    estimated_maps: float = 0.7
    calibration_width: int = 24
    crops: tuple[float, ...] = (0.0, 0.0, 0.95)
    contrast_weights: dict[str, float] = {}


class DataConfig(_Part):
    """Where the slices are, and how scans are drawn from them."""

    slices: Path
    split: str = "train"
    scans: ScanConfig = ScanConfig()


class NetworkConfig(_Part):
    """The network: method, denoiser, unrolling, smoothing."""

    method: Literal["modl", "smug", "weighted-smug"] = "smug"
    denoiser: Literal["unet", "didn"] = "unet"
    channels: tuple[int, ...] = (64, 96, 128)
    blocks: int = 3
    steps: int = 8
    lam: float = 1.0
    learned_lambda: bool = False
    iterations: int = 20
    tolerance: float = 1e-4
    sigma: float = 0.01
    sampling: Literal["antithetic", "independent"] = "antithetic"
    mirror: bool = False


class StageConfig(_Part):
    """One stage of training. Stages follow each other; weights and their average are carried over, the optimiser starts anew.

    ``task``: ``denoise`` (MSE(D(t + nu), t), nu of ``sigma``) or ``unroll`` (UStab loss; ``samples`` 0 leaves the noise out).
    ``steps``, ``iterations`` and ``estimated_maps`` take the place of the network's and the scans' own.
    """

    task: Literal["denoise", "unroll"]
    updates: int
    rate: float = 1e-4
    rate_end: float = 0.0
    warm_up: int = 200
    schedule: Literal["flat", "linear", "flat-linear", "cosine"] = "flat-linear"
    batch: int = 2
    samples: int = 2
    steps: int | None = None
    ustab: float = 1.0
    final: float = 1.0
    target: Literal["label", "denoised-label"] = "label"
    root: bool = False
    iterations: int | None = None
    estimated_maps: float | None = None


class TrainingConfig(_Part):
    """The whole config file. ``lambda_rate``: learning rate of log lambda and its exponent, as a multiple of the weights'."""

    name: str
    seed: int = 0
    data: DataConfig
    network: NetworkConfig
    stages: tuple[StageConfig, ...]
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    lambda_rate: float = 30.0
    average: float = 0.999
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    workers: int = 1
    save_every_s: float = 120.0


def load_config(path: Path) -> TrainingConfig:
    """Read and validate a training config; relative paths are relative to the file.

    Raises:
        ConfigurationError: not readable, not YAML, unknown or ill-typed keys.
    """
    try:
        content: Any = yaml.safe_load(path.read_text())
        config = TrainingConfig.model_validate(content)
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigurationError(f"{path}: {error}", "a training config", "see docs/training.md") from error
    slices = config.data.slices
    if slices.is_absolute():
        return config
    data = config.data.model_copy(update={"slices": (path.parent / slices).resolve()})
    return config.model_copy(update={"data": data})
