"""The pipeline file: what the chain does, in YAML; Gadgetron properties override it by dotted name."""

from __future__ import annotations

import difflib
import hashlib
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, PrivateAttr, ValidationError, ValidationInfo, field_validator

from smug_recon.configuration import LEGACY_PROPERTIES, node_configuration, properties
from smug_recon.errors import ConfigurationError
from smug_recon.pipeline_parts import CoilCompression, CoilMaps, Images, ModelFile, Part, SpoolSettings

DEFAULT_PIPELINE = "smug-cartesian"
"""Name of the shipped pipeline that runs when none is chosen."""

LONGEST_FILE = 2**20
"""No pipeline file is longer, in bytes."""


class Pipeline(Part):
    """All settings of one reconstruction; unknown keys and values out of range are refused."""

    name: str = Field(DEFAULT_PIPELINE, min_length=1, max_length=64)
    model: ModelFile
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = Field(0, ge=0, lt=2**63)
    samples: int = Field(2, ge=0, le=64)
    strict: bool = False
    without_model: Literal["refuse", "conventional"] = "refuse"
    prewhitening: bool = True
    prewhitened_upstream: bool = False
    pass_on: Literal["all", "images"] = "all"
    coil_compression: CoilCompression = CoilCompression()  # type: ignore[call-arg]
    partial_fourier: Literal["pocs", "zero_fill"] = "pocs"
    coil_maps: CoilMaps = CoilMaps()  # type: ignore[call-arg]
    images: Images = Images()  # type: ignore[call-arg]
    spool: SpoolSettings = SpoolSettings()  # type: ignore[call-arg]

    @field_validator("images")
    @classmethod
    def _copies_to_compare(cls, images: Images, info: ValidationInfo) -> Images:
        if images.uncertainty and info.data.get("samples", 2) < 2:
            raise ValueError("samples of at least 2 where images.uncertainty is true")
        return images

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def model_path(self) -> Path:
        """Absolute path of the model file; a relative one counts from the folder of the pipeline file."""
        return (self._folder / self.model.file.expanduser()).resolve()

    @property
    def sha256(self) -> str:
        """SHA-256 of all settings as they hold, overrides included.

        Of the model its hash counts, not its place; the device does not count: the image tells on which it was made.
        Nor does the spool, which touches no pixel.
        """
        settings = self.model_dump(mode="json", exclude={"model": {"file"}, "device": True, "spool": True})
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    def with_overrides(self, overrides: Mapping[str, Any]) -> Pipeline:
        """A copy with new values by dotted name, ``{"images.type": "float32"}``; ConfigurationError."""
        if not overrides:
            return self
        settings = self.model_dump()
        known = sorted(_dotted_names(settings))
        for name, value in overrides.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                raise ConfigurationError(
                    f"the property {name!r}",
                    f"one of pipeline, {', '.join(known)}",
                    f"did you mean {near[0]!r}?" if near else "mend or remove the property",
                )
            *path, last = name.split(".")
            part = settings
            for step in path:
                part = part[step]
            part[last] = value
        return _validated(settings, self._folder, "the properties")


def load_pipeline(path_or_name: Path | str | None = None) -> Pipeline:
    """Read a pipeline: a YAML file, a Gadgetron XML with our node, or a shipped name. ConfigurationError."""
    path = find_pipeline(path_or_name)
    if path.suffix.lower() == ".xml":
        return pipeline_of(node_configuration(path))
    try:
        if path.stat().st_size > LONGEST_FILE:
            raise ConfigurationError(
                f"{path.name} of {path.stat().st_size} bytes",
                "a YAML file of a few lines",
                "give a pipeline file",
            )
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (
        OSError,
        yaml.YAMLError,
        ValueError,
        ArithmeticError,
        LookupError,
        TypeError,
        RecursionError,
    ) as error:
        raise ConfigurationError(  # the safe loader lets through what dates, numbers and nesting without end raise
            f"{path.name}, which cannot be read ({_one_line(error)})", "YAML", "mend the file"
        ) from None
    if not isinstance(settings, dict):
        raise ConfigurationError(
            f"{path.name} with no settings in it",
            "YAML with keys such as model, device, images",
            "start from a copy of pipelines/smug-cartesian.yaml",
        )
    return _validated(settings, path.resolve().parent, path.name)


def pipeline_of(configuration: ET.Element | None) -> Pipeline:
    """The pipeline of a configuration: ``pipeline`` names the file, the others override by dotted name."""
    overrides = {
        name: text for name, text in properties(configuration).items() if name not in LEGACY_PROPERTIES
    }
    chosen = overrides.pop("pipeline", None)
    if chosen is not None and chosen.lower().endswith(".xml"):
        raise ConfigurationError(
            f"pipeline = {chosen!r} in a Gadgetron configuration",
            "a pipeline YAML or its name",
            "name the YAML file",
        )
    return load_pipeline(chosen).with_overrides(overrides)


def find_pipeline(path_or_name: Path | str | None = None) -> Path:
    """The file of a path or of a shipped name (``smug-cartesian``); ConfigurationError if there is none."""
    wanted = str(path_or_name or DEFAULT_PIPELINE)
    path = Path(wanted).expanduser()
    shipped = [shipped_folder() / f"{wanted}{suffix}" for suffix in (".yaml", ".xml")]
    candidates = [*shipped, path] if path.name == wanted else [path]
    if found := next((candidate for candidate in candidates if candidate.is_file()), None):
        return found
    names = sorted(file.stem for file in shipped_folder().glob("*.yaml"))
    raise ConfigurationError(
        f"no pipeline {wanted!r}", f"a file, or a shipped name ({', '.join(names)})", "check the path"
    )


def parse_settings(settings: Iterable[str]) -> dict[str, str]:
    """Overrides from ``KEY=VALUE`` texts, for ``Pipeline.with_overrides``; ConfigurationError."""
    found = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(
                f"the setting {setting!r}", "KEY=VALUE", "write e.g. images.type=float32"
            )
        found[name.strip()] = value.strip()
    return found


def shipped_folder() -> Path:
    """The folder with the pipelines that come with the package."""
    import smug_recon.pipelines

    return Path(smug_recon.pipelines.__file__).parent


def _validated(settings: Mapping[Any, Any], folder: Path, source: str) -> Pipeline:
    try:
        pipeline = Pipeline.model_validate(settings)
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        name = ".".join(str(step) for step in first["loc"])
        if first["type"] == "extra_forbidden":
            found, expected = f"the unknown key {name!r} in {source}", "only keys of the pipeline schema"
        elif first["type"] == "missing":
            found, expected = f"no {name!r} in {source}", "this key"
        else:
            found, expected = f"{name} = {_shown(first['input'])} in {source}", _expectation(first["msg"])
        more = f" (and {len(others)} more)" if others else ""
        raise ConfigurationError(
            found, expected, f"mend it{more}; see pipelines/smug-cartesian.yaml"
        ) from None
    pipeline._folder = folder
    return pipeline


def _shown(value: Any) -> str:
    """A value as text, short whatever it is (YAML aliases can nest without end)."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else value[:77] + "...")
    return (
        "a list" if isinstance(value, list) else "a group of keys" if isinstance(value, dict) else "a value"
    )


def _expectation(message: str) -> str:
    text = message.removeprefix("Input should be ").removeprefix("String should ")
    return "64 hexadecimal digits" if "0-9a-f" in text else text


def _dotted_names(settings: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _dotted_names(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
