"""The evaluation config: one YAML file says what is compared, on which slices, under which perturbations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from smug_recon.errors import ConfigurationError
from smug_recon.robustness.settings.axes import Axes
from smug_recon.robustness.settings.data import DataSettings
from smug_recon.robustness.settings.methods import LINEAR, MethodSettings, varied
from smug_recon.robustness.settings.part import Part
from smug_recon.robustness.settings.scan import ScanSettings


class EvaluationConfig(Part):
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
