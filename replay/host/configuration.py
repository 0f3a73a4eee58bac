"""What the host tells the node: the ``<configuration>`` element with its properties (message 2)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

from smug_recon.configuration import node_configuration, properties
from smug_recon.pipeline import find_pipeline


def configuration_element(pipeline: Path | str | None, overrides: Mapping[str, str]) -> ET.Element:
    """The properties of our node in a Gadgetron XML, or those that name a pipeline; ``overrides`` win.

    Of the gadgets before the node in a Gadgetron XML none is run; the node does what they do.

    ``pipeline`` is a YAML file, a Gadgetron XML, a shipped name or None for the default. ConfigurationError.
    """
    path = find_pipeline(pipeline)
    found = {"pipeline": str(path.resolve())}
    if path.suffix.lower() == ".xml":
        found = properties(node_configuration(path))
        found.pop(
            "prewhitened_upstream", None
        )  # the gadgets before the node are not run: raw readouts arrive
    root = ET.Element("configuration")
    for name, value in {**found, **overrides}.items():
        ET.SubElement(root, "property", name=name, value=value)
    return root
