"""The evaluation config: one YAML file says what is compared, on which slices, under which perturbations."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from smug_recon.errors import ConfigurationError

Domain = Literal["kspace", "adjoint", "start"]
Norm = Literal["linf", "l2"]
LINEAR = "cg-sense"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScanSettings(_Part):
    """How a slice is scanned; a shift replaces one of these.

    ``calibration``: lines of the fully sampled centre, by default ``0.32 / acceleration`` of all, as in the paper.
    ``maps_width``: side of the separate calibration block from which ESPIRiT estimates the maps, so that a shift of the
    sampling does not shift the maps; ``exact_maps`` takes the true ones. ``noise``: standard deviation of the complex noise of
    a sample; the brightest tissue is about 1. ``gamma``: exponent on the magnitudes, another contrast. ``poisson``: gaps between
    lines vary little and grow with |ky|.
    """

    lines_y: int = 192
    acceleration: float = Field(default=4.0, ge=1)
    calibration: int | None = None
    pattern: Literal["random", "regular", "poisson"] = "random"
    decay: float = 3.0
    coils: int = 8
    noise: float = Field(default=0.005, gt=0)
    zoom: tuple[float, float] = (0.5, 1.0)
    gamma: float = 1.0
    maps_width: int = 24
    exact_maps: bool = False
    contrast: str | None = None
    orientation: str | None = None


class DataSettings(_Part):
    """Which slices: ``per_subject`` of every subject of ``split``, spread over its volumes; at most ``limit``, subjects in turn.

    ``slices``: a slice file, scans are simulated from it. ``raw``: instead, a folder of fully sampled raw files (fastMRI or ISMRMRD
    HDF5), every file taken for a subject; they are read once into ``cache`` (by default ``.cache`` beside the folder).
    """

    slices: Path | None = None
    raw: Path | None = None
    cache: Path | None = None
    split: str = "test"
    tuning_split: str = "val"
    tuning_slices: int = 6
    per_subject: int = 8
    limit: int | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _one_source(self) -> DataSettings:
        if (self.slices is None) == (self.raw is None):
            raise ValueError("data: either slices or raw")
        return self

    @property
    def name(self) -> str:
        """What the column ``data`` says."""
        return f"{self.raw.name}:raw" if self.raw is not None else f"{self.slices.stem}:{self.split}"  # type: ignore[union-attr]


class MethodSettings(_Part):
    """One row of the tables: a network from its weights, or a reconstruction without training.

    ``weights``: a weights file (``NAME.safetensors``) or an exported model (``NAME.pt``).
    ``samples``, ``sigma``, ``sampling``, ``steps``, ``mirror`` replace the network's own at run time, ``weighting`` the weights of
    its smoothing copies. ``bound`` restrains the
    denoiser's output to ``bound_at``: ``clip`` every real and imaginary part, ``tanh`` the same smoothly, ``norm`` projects the
    output, ``residual`` the difference to the input, on a ball of that L2 norm per root pixel.
    ``regularisation``: of CG-SENSE or L1-wavelet; ``auto`` tunes it on ``tuning_split``.
    In the file ``vary: {samples: [2, 4], sigma: [0.01, 0.05]}`` makes one method of every combination, named after its values.
    """

    name: str
    kind: Literal["network", "zero-filled", "cg-sense", "l1-wavelet"] = "network"
    weights: Path | None = None
    samples: int = 2
    sigma: float | None = None
    sampling: Literal["antithetic", "independent"] | None = None
    steps: int | None = None
    mirror: bool | None = None
    weighting: Literal["uniform", "spread"] | None = None
    bound: Literal["none", "clip", "tanh", "norm", "residual"] = "none"
    bound_at: float = 1.2
    regularisation: float | Literal["auto"] = "auto"
    iterations: int = 50

    @model_validator(mode="after")
    def _complete(self) -> MethodSettings:
        if (self.kind == "network") != (self.weights is not None):
            raise ValueError(
                f"method {self.name}: weights belong to kind network, and a network needs weights"
            )
        return self


class NoiseAxis(_Part):
    """Gaussian noise of ``strengths`` (times the peak of the target, on real and imaginary part) in each domain."""

    domains: tuple[Domain, ...] = ("kspace", "adjoint")
    strengths: tuple[float, ...]


class AttackAxis(_Part):
    """Projected gradient ascent; see docs/evaluate.md.

    ``step`` is relative to the radius (default ``2.5 / steps``), ``eot`` the seeds of smoothing noise averaged in each step,
    ``knows_seed`` attacks the very seed that is evaluated, ``through`` how gradients pass the conjugate gradients, ``only``
    the methods attacked (default: all), ``transfer_from`` names a method whose perturbation all others get as well.
    """

    domain: Domain
    norm: Norm = "linf"
    strengths: tuple[float, ...]
    steps: tuple[int, ...] = (10,)
    step: float | None = None
    restarts: int = 1
    eot: int = 1
    knows_seed: bool = False
    through: Literal["implicit", "iterations"] = "implicit"
    only: tuple[str, ...] = ()
    transfer_from: str | None = None


class LesionAxis(_Part):
    """Faint Gaussian lesions: ``contrasts`` relative to the tissue around, ``sizes_px`` their standard deviation; attacked in
    k-space (L_inf) with ``strengths``, ``steps`` steps, to hide them and to invent one.
    """

    contrasts: tuple[float, ...] = (0.15, 0.3)
    sizes_px: tuple[float, ...] = (2.0,)
    strengths: tuple[float, ...] = (0.002,)
    steps: int = 10


class BoundAxis(_Part):
    """Bounds and measured amplification: power iterations, and an L2 attack on k-space of ``strength`` with ``steps`` steps.

    ``slices``: only so many of the slices, the first.
    """

    iterations: int = 12
    strength: float = 0.002
    steps: int = 10
    slices: int | None = None
    only: tuple[str, ...] = ()


class Axes(_Part):
    """What is varied. ``shifts``: fields of the scan settings and their values; ``denoising``: noise on the target itself."""

    noise: NoiseAxis | None = None
    attacks: tuple[AttackAxis, ...] = ()
    shifts: dict[str, tuple[Any, ...]] = {}
    unrolling_steps: tuple[int, ...] = ()
    input_scale: tuple[float, ...] = ()
    denoising: tuple[float, ...] = ()
    lesions: LesionAxis | None = None
    bounds: BoundAxis | None = None

    @model_validator(mode="after")
    def _known(self) -> Axes:
        unknown = set(self.shifts) - set(ScanSettings.model_fields)
        if unknown:
            raise ValueError(
                f"shifts of {sorted(unknown)}: not scan settings ({', '.join(ScanSettings.model_fields)})"
            )
        for field, values in self.shifts.items():
            for value in values:
                ScanSettings.model_validate({field: value})
        return self


class EvaluationConfig(_Part):
    """The whole config file. ``reference``: paired differences to this method are reported. ``examples``: slices with images."""

    name: str
    seed: int = Field(default=0, ge=0, lt=100_000)
    data: DataSettings
    scan: ScanSettings = ScanSettings()
    methods: tuple[MethodSettings, ...]
    axes: Axes = Axes()
    reference: str | None = None
    examples: int = 1
    resamples: int = 2000

    @model_validator(mode="before")
    @classmethod
    def _varied(cls, content: Any) -> Any:
        if not isinstance(content, dict) or not isinstance(content.get("methods"), list | tuple):
            return content
        return {**content, "methods": [one for entry in content["methods"] for one in varied(entry)]}

    @model_validator(mode="after")
    def _consistent(self) -> EvaluationConfig:
        names = [method.name for method in self.methods]
        if len(set(names)) < len(names):
            raise ValueError("two methods of one name")
        if sum(method.kind == LINEAR for method in self.methods) != 1:
            raise ValueError("every table needs the linear reconstruction: list one method of kind cg-sense")
        wanted = {self.reference} if self.reference else set()
        for attack in self.axes.attacks:
            wanted |= {*attack.only, *([attack.transfer_from] if attack.transfer_from else [])}
        if self.axes.bounds:
            wanted |= set(self.axes.bounds.only)
        if wanted - set(names):
            raise ValueError(f"{sorted(wanted - set(names))}: no such method; there are {', '.join(names)}")
        return self

    @property
    def linear(self) -> MethodSettings:
        """The conventional linear reconstruction that every attack is compared with."""
        return next(method for method in self.methods if method.kind == LINEAR)


def varied(entry: Any) -> list[Any]:
    """Return the methods that an entry of the file stands for: itself, or one of every combination under ``vary``."""
    if not isinstance(entry, dict) or "vary" not in entry:
        return [entry]
    plain = {name: value for name, value in entry.items() if name != "vary"}
    fields, values = list(entry["vary"]), list(entry["vary"].values())
    return [
        {
            **plain,
            **dict(zip(fields, chosen, strict=True)),
            "name": "-".join(
                [str(plain.get("name")), *(_short(*pair) for pair in zip(fields, chosen, strict=True))]
            ),
        }
        for chosen in product(*values)
    ]


def _short(field: str, value: Any) -> str:
    return str(value) if isinstance(value, str) else f"{field}{value:g}"


def load_evaluation(path: Path, slices: Path | None = None, limit: int | None = None) -> EvaluationConfig:
    """Read and validate an evaluation config; relative paths are relative to the file.

    Args:
        path: YAML file. slices, limit: in place of the config's own.

    Raises:
        ConfigurationError: not readable, not YAML, unknown or ill-typed keys.
    """
    try:
        content: Any = yaml.safe_load(path.read_text())
        config = EvaluationConfig.model_validate(content)
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigurationError(
            f"{path}: {error}", "an evaluation config", "see docs/evaluate.md"
        ) from error
    places = {
        name: (path.parent / value).resolve()
        for name in ("slices", "raw", "cache")
        if (value := getattr(config.data, name)) is not None
    }
    if slices is not None:
        places |= {"slices": slices.resolve(), "raw": None}
    data = config.data.model_copy(update={**places, "limit": config.data.limit if limit is None else limit})
    methods = tuple(
        method.model_copy(update={"weights": (path.parent / method.weights).resolve()})
        if method.weights is not None
        else method
        for method in config.methods
    )
    return config.model_copy(update={"data": data, "methods": methods})
