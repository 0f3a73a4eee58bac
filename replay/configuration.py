"""What the host tells the node: module, target and the ``<configuration>`` element (message 2)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smug_recon.errors import ConfigurationError


@dataclass(frozen=True)
class NodeConfiguration:
    """The Python node that is run, and the properties that reach it."""

    module: str
    target: str
    properties: Mapping[str, str]

    def element(self) -> bytes:
        """The ``<configuration>`` element as Gadgetron sends it."""
        root = ET.Element("configuration")
        for name, value in self.properties.items():
            ET.SubElement(root, "property", name=name, value=value)
        return ET.tostring(root, encoding="utf-8")


def node_configuration(pipeline: Path | str | None, overrides: Mapping[str, str]) -> NodeConfiguration:
    """The node of a Gadgetron XML, or our own node with a pipeline file or name; ``overrides`` win."""
    if pipeline is not None and str(pipeline).endswith(".xml"):
        module, target, properties = _from_gadgetron(Path(pipeline))
        return NodeConfiguration(module, target, {**properties, **overrides})
    named = {} if pipeline is None else {"pipeline": _absolute(pipeline)}
    return NodeConfiguration("smug_recon.gadgets", "reconstruct", {**named, **overrides})


def _absolute(pipeline: Path | str) -> str:
    path = Path(pipeline)
    return str(path.resolve()) if path.exists() else str(pipeline)


def _from_gadgetron(path: Path) -> tuple[str, str, dict[str, str]]:
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError) as error:
        raise ConfigurationError(
            f"a Gadgetron configuration {path.name} that cannot be read ({error})", "XML", "mend the file"
        ) from None
    for external in root.iter("external"):
        execute = external.find("execute")
        if execute is None or execute.get("type", "").lower() != "python":
            continue
        found = external.find("configuration")
        pairs = (
            []
            if found is None
            else [(each.get("name"), each.get("value")) for each in found.iter("property")]
        )
        properties = {name: value or "" for name, value in pairs if name}
        return execute.get("name", ""), execute.get("target", "") or "", properties
    raise ConfigurationError(
        f"no Python node in {path.name}",
        'an <execute name="smug_recon.gadgets" target="reconstruct" type="python"/>',
        "use pipelines/Generic_Cartesian_SMUG.xml or a pipeline YAML",
    )
