"""The ``<configuration>`` element of a Gadgetron node, and its properties."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from smug_recon.errors import ConfigurationError

LEGACY_PROPERTIES = frozenset({"python_path", "python_module", "python_class", "error_ignored_mode"})
"""Properties of a version-1 PythonGadget, which Gadgetron 4 passes on; they are not ours and say nothing."""

MODULE = "smug_recon.gadgets"


def properties(configuration: ET.Element | None) -> dict[str, str]:
    """Names and values of all properties, in both of Gadgetron's spellings; ConfigurationError.

    ``<property name="a" value="1"/>`` and ``<property><name>a</name><value>1</value></property>``.
    """
    found: dict[str, str] = {}
    for element in configuration.iter() if configuration is not None else ():
        if _local_name(element) != "property":
            continue
        name, value = _text(element, "name"), _text(element, "value")
        if not name or value is None:
            raise ConfigurationError(
                f"a property {name!r} without a value" if name else "a property without a name",
                '<property name="images.type" value="uint16"/>',
                "mend the configuration",
            )
        if name in found and found[name] != value:
            raise ConfigurationError(
                f"the property {name!r} twice ({found[name]!r} and {value!r})",
                "each property once",
                "remove one",
            )
        found[name] = value
    return found


def node_configuration(path: Path) -> ET.Element | None:
    """The ``<configuration>`` of our node in a Gadgetron XML, None if it has none; ConfigurationError."""
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError) as error:
        raise ConfigurationError(
            f"{path.name}, which cannot be read ({error})",
            "a Gadgetron configuration in XML",
            "mend the file",
        ) from None
    return our_node(root, path.name)


def our_node(root: ET.Element, source: str) -> ET.Element | None:
    """The ``<configuration>`` of our node in a parsed Gadgetron XML; ConfigurationError if it is not there."""
    nodes = [element for element in root.iter() if _local_name(element) == "external"]
    others = []
    for node in nodes:
        parts = {_local_name(part): part for part in node}
        if "connect" in parts or ("execute" in parts and parts["execute"].get("name") == MODULE):
            return parts.get("configuration")
        others.append(parts["execute"].get("name", "") if "execute" in parts else "")
    raise ConfigurationError(
        f"{source} with {'the external nodes ' + ', '.join(others) if others else 'no external node'}",
        f'<execute name="{MODULE}" target="reconstruct" type="python"/> or <connect .../>',
        "start from a copy of pipelines/Generic_Cartesian_SMUG.xml",
    )


def _local_name(element: ET.Element) -> str:
    return element.tag.rsplit("}", 1)[-1] if isinstance(element.tag, str) else ""


def _text(element: ET.Element, name: str) -> str | None:
    value = element.get(name)
    if value is None:
        value = next(((child.text or "") for child in element if _local_name(child) == name), None)
    return value.strip() if value is not None else None
