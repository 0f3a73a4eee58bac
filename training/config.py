"""The training config: one YAML file says everything that shapes a network. Unknown keys are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

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
    """What training draws from: ``split`` of a file of magnitude ``slices``, or a folder of fully sampled ``raw`` files.

    Raw files (ISMRMRD, fastMRI) are brought into ``cache`` at first use, by default beside them. Since they do not say it,
    ``anatomy``, ``contrasts``, ``licence`` and ``attribution`` are for the model card. ``scans``: how scans are drawn.
    """

    slices: Path | None = None
    split: str = "train"
    raw: Path | None = None
    cache: Path | None = None
    anatomy: str | None = None
    contrasts: tuple[str, ...] = ()
    licence: str = ""
    attribution: str = ""
    scans: ScanConfig = ScanConfig()

    @model_validator(mode="after")
    def _one_of_them(self) -> DataConfig:
        if (self.slices is None) == (self.raw is None):
            raise ValueError(
                "data needs either slices (a file of magnitude slices) or raw (a folder of raw files)"
            )
        return self

    @property
    def cache_folder(self) -> Path:
        """Where raw files go once they have been read."""
        assert self.raw is not None
        return self.cache or (self.raw if self.raw.is_dir() else self.raw.parent) / ".smug-recon"


class NetworkConfig(_Part):
    """The network: method, denoiser, unrolling, smoothing."""

    method: Literal["modl", "smug", "weighted-smug", "rs-e2e"] = "smug"
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
    shared_noise: bool = False
    reading: Literal["image", "kspace"] = "image"
    weighting: Literal["image", "pixel", "spread", "uniform"] = "image"


class AttackConfig(_Part):
    """Adversarial training: the worst perturbation, sought anew for every batch by projected gradients.

    ``domain``: of the sampled ``kspace``, or of the ``start`` x_0 alone. ``strength`` bounds |Re| and |Im| of every sample or
    pixel, or with ``l2`` the root of the energy over all of a slice, in units of the normalised image; a slice's own bound is
    drawn uniformly from 0 to ``strength``.
    """

    strength: float
    domain: Literal["kspace", "start"] = "kspace"
    norm: Literal["linf", "l2"] = "linf"
    steps: int = 3


class StageConfig(_Part):
    """One stage of training. Stages follow each other; weights and their average are carried over, the optimiser starts anew.

    ``task``: ``denoise`` (MSE(D(t + nu), t), nu of ``sigma``) or ``unroll`` (UStab loss; ``samples`` 0 leaves the noise out).
    ``steps``, ``iterations`` and ``estimated_maps`` take the place of the network's and the scans' own. ``jitter`` adds Gaussian
    noise of that standard deviation (real and imaginary part, units of the normalised image) to the sampled k-space, in training
    only (Krainovic 2023, arXiv 2307.12822); ``attack`` the worst perturbation; of a list of attacks every batch draws one,
    ``null`` among them leaves it as it is.
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
    jitter: float = 0.0
    attack: AttackConfig | tuple[AttackConfig | None, ...] | None = None

    @property
    def attacks(self) -> tuple[AttackConfig | None, ...]:
        """What a batch may meet; None: no attack."""
        if self.attack is None:
            return ()
        return self.attack if isinstance(self.attack, tuple) else (self.attack,)


class TrainingConfig(_Part):
    """The whole config file.

    ``lambda_rate``: learning rate of log lambda and its exponent, as a multiple of the weights'. ``start``: a weights file
    (safetensors) of a network with an equal denoiser, where training begins. ``recompute``: the denoiser's features are
    computed again in the backward pass instead of kept (gradient checkpointing): less memory, a third more time. ``draws``: what
    the random numbers of an update hang on: each scan's ``position`` in the batch, so that any number of processes makes the same
    updates, or the ``process`` that holds it.
    """

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
    start: Path | None = None
    recompute: bool = False
    draws: Literal["position", "process"] = "position"

    @model_validator(mode="after")
    def _attackable(self) -> TrainingConfig:
        domains = {attack.domain for stage in self.stages for attack in stage.attacks if attack}
        if self.network.method == "rs-e2e" and "start" in domains:
            raise ValueError("rs-e2e begins at noisy starts of its own: attack its kspace")
        return self


def load_config(path: Path) -> TrainingConfig:
    """Read and validate a training config; relative paths are relative to the file.

    ``extends: OTHER.yaml`` begins with another config: mappings are merged, everything else is replaced; one level.

    Raises:
        ConfigurationError: not readable, not YAML, unknown or ill-typed keys.
    """
    try:
        content: Any = yaml.safe_load(path.read_text())
        if isinstance(content, dict) and "extends" in content:
            base: Any = yaml.safe_load((path.parent / content.pop("extends")).read_text())
            content = _merged(base, content)
        config = TrainingConfig.model_validate(content)
    except (OSError, yaml.YAMLError, ValidationError, TypeError) as error:
        raise ConfigurationError(f"{path}: {error}", "a training config", "see docs/training.md") from error
    paths = {name: getattr(config.data, name) for name in ("slices", "raw", "cache")}
    data = config.data.model_copy(
        update={name: (path.parent / value).resolve() for name, value in paths.items() if value is not None}
    )
    start = config.start and (path.parent / config.start).resolve()
    return config.model_copy(update={"data": data, "start": start})


def _merged(base: Any, changes: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    return {**base, **{key: _merged(base.get(key), value) for key, value in changes.items()}}
