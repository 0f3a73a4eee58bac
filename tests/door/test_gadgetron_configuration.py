"""Gadgetron's properties and configurations, and the pipeline that they lead to."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from smug_recon.configuration import node_configuration, properties
from smug_recon.errors import ConfigurationError
from smug_recon.pipeline import (
    load_pipeline,
    pipeline_of,
    shipped_folder,
)

BOTH = """<configuration>
  <property name="images.type" value="float32"/>
  <property><name>seed</name><value>3</value></property>
</configuration>"""


def test_both_spellings_of_gadgetron_properties() -> None:
    assert properties(ET.fromstring(BOTH)) == {"images.type": "float32", "seed": "3"}
    assert properties(None) == {}
    pipeline = pipeline_of(ET.fromstring(BOTH))
    assert (pipeline.images.type, pipeline.seed) == ("float32", 3)
    assert pipeline_of(None) == load_pipeline()


def test_the_pipeline_property_names_the_file(write: Any) -> None:
    path = write(name="own", seed=5)
    element = ET.fromstring(f'<configuration><property name="pipeline" value="{path}"/></configuration>')
    assert (pipeline_of(element).name, pipeline_of(element).seed) == ("own", 5)


def test_properties_of_a_version_1_python_gadget_are_not_ours() -> None:
    pairs = {
        "python_path": "/opt",
        "python_module": "smug_recon.gadgets",
        "python_class": "reconstruct",
        "seed": "2",
    }
    rows = "".join(
        f"<property><name>{name}</name><value>{value}</value></property>" for name, value in pairs.items()
    )
    assert pipeline_of(ET.fromstring(f"<configuration>{rows}</configuration>")).seed == 2


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ('<property name="images.typ" value="uint16"/>', "did you mean"),
        ('<property name="seed"/>', "without a value"),
        ('<property value="1"/>', "without a name"),
        ('<property name="seed" value="1"/><property name="seed" value="2"/>', "twice"),
        ('<property name="pipeline" value="other.xml"/>', "other.xml"),
        ('<property name="pipeline" value="absent"/>', "no pipeline"),
    ],
)
def test_wrong_properties_are_refused(inside: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        pipeline_of(ET.fromstring(f"<configuration>{inside}</configuration>"))


@pytest.mark.parametrize("name", ["Generic_Cartesian_SMUG", "Generic_Cartesian_SMUG_connect"])
def test_the_shipped_gadgetron_configurations_run_the_shipped_pipeline(name: str) -> None:
    assert load_pipeline(name) == load_pipeline().with_overrides({"pass_on": "images"})
    root = ET.parse(shipped_folder() / f"{name}.xml").getroot()
    assert (root.tag, root.findtext("version")) == ("configuration", "2")
    readers = [(each.findtext("dll"), each.findtext("classname")) for each in root.iter("reader")]
    assert readers == [
        ("gadgetron_core_readers", "AcquisitionReader"),
        ("gadgetron_core_readers", "WaveformReader"),
    ]
    writers = [(each.findtext("dll"), each.findtext("classname")) for each in root.iter("writer")]
    assert writers == [("gadgetron_core_writers", "ImageWriter")]
    (node,) = root.findall("stream/external")
    action = node[0]
    if action.tag == "execute":
        from importlib import import_module

        assert action.attrib["type"] == "python"
        assert callable(getattr(import_module(action.attrib["name"]), action.attrib["target"]))
    else:
        assert action.tag == "connect" and 0 < int(action.attrib["port"]) < 2**16
        assert action.attrib["address"] == "127.0.0.1"


@pytest.mark.parametrize("kind", ["buckets", "buffers"])
def test_the_configurations_behind_gadgetrons_front_end(kind: str) -> None:
    name = f"Generic_Cartesian_SMUG_{kind}"
    assert load_pipeline(name) == load_pipeline().with_overrides(
        {"pass_on": "images", "prewhitened_upstream": True}
    )
    root = ET.parse(shipped_folder() / f"{name}.xml").getroot()
    assert (root.tag, root.findtext("version")) == ("configuration", "2")
    readers = [each.findtext("classname") for each in root.iter("reader")]
    assert readers == ["AcquisitionReader", "WaveformReader"][: 2 if kind == "buckets" else 1]
    assert [each.findtext("classname") for each in root.iter("writer")] == ["ImageWriter"]
    stream = root.find("stream")
    assert stream is not None
    gadgets = [
        "NoiseAdjust",
        "AsymmetricEchoAdjustRO",
        "RemoveROOversampling",
        "AcquisitionAccumulateTrigger",
    ]
    gadgets += ["BucketToBuffer"] if kind == "buffers" else []
    assert [each.findtext("classname") for each in stream.iter("gadget")] == [f"{g}Gadget" for g in gadgets]
    assert {each.findtext("dll") for each in stream.iter("gadget")} == {"gadgetron_mricore"}
    action = stream[-1][0]
    assert (stream[-1].tag, action.tag, action.attrib["type"]) == ("external", "execute", "python")
    from importlib import import_module

    assert callable(getattr(import_module(action.attrib["name"]), action.attrib["target"]))


def test_replay_plays_raw_readouts_whatever_stands_before_the_node() -> None:
    from smug_recon.replay.host.configuration import configuration_element

    found = pipeline_of(configuration_element("Generic_Cartesian_SMUG_buffers", {"seed": "3"}))
    assert not found.prewhitened_upstream and found.prewhitening and found.seed == 3


def test_a_gadgetron_file_without_our_node_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.xml"
    path.write_text(
        '<configuration><stream><external><execute name="a.b"/></external></stream></configuration>'
    )
    assert "a.b" in refused(path)
    path.write_text("<configuration><stream/></configuration>")
    assert "no external node" in refused(path)
    path.write_text("<configuration>")
    assert "cannot be read" in refused(path)


def test_our_node_is_found_among_others(tmp_path: Path) -> None:
    path = tmp_path / "two.xml"
    path.write_text(
        '<configuration><stream><external><execute name="a.b"/><configuration/></external><external>'
        f'<execute name="smug_recon.gadgets"/>{BOTH}</external></stream></configuration>'
    )
    assert properties(node_configuration(path))["seed"] == "3"
    assert load_pipeline(path).seed == 3
