"""The configurations that a session may name, and the pipeline that its words describe."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smug_recon.configuration import LEGACY_PROPERTIES, node_configuration, our_node, properties
from smug_recon.errors import ConfigurationError
from smug_recon.pipeline import DEFAULT_PIPELINE, Pipeline, load_pipeline, shipped_folder

PROTECTED = (
    "model.file",
    "model.sha256",
    "spool.folder",
    "spool.gigabytes",
    "spool.session_gigabytes",
    "spool.days",
)
"""Settings that a peer cannot make: what is executed, and what is written where, is chosen on this machine."""

UPSTREAM = "prewhitened_upstream"
"""Dropped from a Gadgetron XML: the gadgets before the node are not run here, raw readouts arrive."""


class Catalogue:
    """Names of configurations: those shipped, those in the site's folder, and aliases of them."""

    def __init__(self, folder: Path | None = None, aliases: Mapping[str, str] | None = None) -> None:
        self.files: dict[str, Path] = {}
        for place in (shipped_folder(), *([folder] if folder else [])):
            for path in sorted([*place.glob("*.yaml"), *place.glob("*.xml")]):
                self.files[path.stem] = self.files[path.name] = path
        for alias, name in (aliases or {}).items():
            self.files[alias] = self._file(name)

    @property
    def names(self) -> list[str]:
        """What may be asked for."""
        return sorted(name for name in self.files if not name.endswith((".yaml", ".xml")))

    def _file(self, name: str) -> Path:
        if name not in self.files:
            raise ConfigurationError(
                f"no configuration {_short(name)!r} on this server",
                f"one of {', '.join(self.names)}",
                "choose one of them on the host; nothing else is run in its place",
            )
        return self.files[name]

    def pipeline(self, name: str, overrides: Mapping[str, Any] | None = None) -> Pipeline:
        """The pipeline of a name with overrides by dotted name; ConfigurationError with the list of names."""
        path = self._file(name)
        if path.suffix == ".xml":
            return self.of_element(node_configuration(path), overrides, raw=True)
        return load_pipeline(path).with_overrides(self._allowed(overrides or {}))

    def of_element(
        self, configuration: ET.Element | None, overrides: Mapping[str, Any] | None = None, raw: bool = False
    ) -> Pipeline:
        """The pipeline of the properties of our node; ``raw``: no gadget has run before it."""
        found: dict[str, Any] = {
            name: value for name, value in properties(configuration).items() if name not in LEGACY_PROPERTIES
        }
        if raw:
            found.pop(UPSTREAM, None)
        name = str(found.pop("pipeline", DEFAULT_PIPELINE))
        base = load_pipeline(self._file(name.removesuffix(".yaml")))
        return base.with_overrides(self._allowed({**found, **(overrides or {})}))

    def of_script(self, root: ET.Element, overrides: Mapping[str, Any] | None = None) -> Pipeline:
        """The pipeline of a whole Gadgetron XML that a client sent; only our node of it is run."""
        return self.of_element(our_node(root, "the configuration sent"), overrides, raw=True)

    @staticmethod
    def _allowed(overrides: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in PROTECTED:
            if name in overrides:
                raise ConfigurationError(
                    f"the setting {name} from a host",
                    f"a {name.split('.')[0]} chosen on this machine",
                    "put a pipeline file with this setting into the folder of --configs",
                )
        return overrides


def parameters(text: str) -> tuple[str | None, dict[str, Any]]:
    """Configuration name and overrides of a JSON TEXT, as FIRE and OpenRecon send it; ConfigurationError.

    ``{"parameters": {"config": "smug-cartesian", "images.type": "float32", "images": {"conventional": true}}}``;
    without "parameters" the object itself is taken. ``customconfig`` wins over ``config`` where it is not empty.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("parameters", {}), dict):
        raise ConfigurationError(
            "a text after the header that is no JSON object",
            '{"parameters": {"images.type": "float32"}}',
            "mend the additional configuration on the host",
        )
    given = dict(found.get("parameters", {key: value for key, value in found.items() if key != "version"}))
    custom, config = given.pop("customconfig", None), given.pop("config", None)
    name = custom or config
    return (str(name) if name else None), _dotted(given)


def parameter_id(dotted: str) -> str:
    """The id of a setting in an OpenRecon label, which knows small letters and digits: imagestype."""
    return re.sub("[^a-z0-9]", "", dotted.lower())


def _dotted(given: Mapping[str, Any], before: str = "", depth: int = 0) -> dict[str, Any]:
    known = {parameter_id(name): name for name in settable()}
    flat: dict[str, Any] = {}
    for key, value in given.items():
        name = f"{before}{key}"
        if isinstance(value, dict) and depth < 4:
            flat |= _dotted(value, f"{name}.", depth + 1)
        else:
            flat[known.get(name, name) if not before else name] = value
    return flat


def settable() -> list[str]:
    """Dotted names of all settings that a host may make."""
    found: list[str] = []

    def walk(part: Mapping[str, Any], before: str) -> None:
        for key, value in part.items():
            if isinstance(value, dict):
                walk(value, f"{before}{key}.")
            else:
                found.append(f"{before}{key}")

    walk(load_pipeline().model_dump(), "")
    return [name for name in found if name not in PROTECTED]


def _short(name: str) -> str:
    return name if len(name) <= 60 else name[:57] + "..."
