"""The pipeline file and the configurations that lead to it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from smug_recon.configuration import node_configuration, properties
from smug_recon.errors import ConfigurationError
from smug_recon.pipeline import (
    Pipeline,
    find_pipeline,
    load_pipeline,
    parse_settings,
    pipeline_of,
    shipped_folder,
)

SHA = "ab" * 32


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def writer(settings: Any = None, text: str | None = None, **changes: Any) -> Path:
        path = tmp_path / "own.yaml"
        content = {"model": {"sha256": SHA}, **changes} if settings is None else settings
        path.write_text(yaml.safe_dump(content) if text is None else text)
        return path

    return writer


def refused(path_or_name: Any, **overrides: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_pipeline(path_or_name).with_overrides(overrides)
    assert caught.value.found and caught.value.expected and caught.value.remedy
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700
    return str(caught.value)


def test_the_shipped_pipeline_says_every_default() -> None:
    """Nothing is hidden: the shipped file lists every setting, with the value that holds without it."""
    path = find_pipeline("smug-cartesian")
    pipeline = load_pipeline()
    listed = yaml.safe_load(path.read_text())
    assert listed == pipeline.model_dump(mode="json")
    assert Pipeline(model=pipeline.model).model_dump() == pipeline.model_dump()
    assert pipeline.model_path == shipped_folder() / "models" / "smug-brain-4x.pt"


def test_a_relative_model_file_counts_from_the_pipeline_file(write: Any, tmp_path: Path) -> None:
    pipeline = load_pipeline(write(model={"file": "here.pt", "sha256": SHA.upper()}))
    assert pipeline.model_path == tmp_path / "here.pt"
    assert pipeline.model.sha256 == SHA
    assert pipeline.with_overrides({"model.file": "sub/there.pt"}).model_path == tmp_path / "sub" / "there.pt"
    assert pipeline.with_overrides({"model.file": "/there.pt"}).model_path == Path("/there.pt")


def test_overrides_by_dotted_name_take_text_as_it_comes_from_xml() -> None:
    before = load_pipeline()
    after = before.with_overrides(
        {
            "images.type": "float32",
            "prewhitening": "false",
            "seed": "7",
            "coil_maps.crop": "0.8",
            "samples": "0",
        }
    )
    assert (after.images.type, after.prewhitening, after.seed) == ("float32", False, 7)
    assert (after.coil_maps.crop, after.samples) == (0.8, 0)
    assert after.model == before.model and after.images.peak == before.images.peak
    assert before == load_pipeline(), "a pipeline never changes in place"


def test_unknown_names_are_refused_and_a_near_one_is_named(write: Any) -> None:
    assert "did you mean 'images.type'" in refused(None, **{"images.typ": "uint16"})
    assert "'nonsense'" in refused(None, nonsense="1")
    assert "'images'" in refused(None, images="uint16")
    assert "unknown key 'image'" in refused(write(image={"type": "uint16"}))
    assert "unknown key 'images.format'" in refused(write(images={"format": "uint16"}))


@pytest.mark.parametrize(
    "override",
    [
        {"images.type": "int16"},
        {"device": "tpu"},
        {"seed": "-1"},
        {"samples": "many"},
        {"coil_maps.kernel": "2"},
        {"coil_maps.crop": "nan"},
        {"images.peak": "100000"},
        {"prewhitening": "perhaps"},
        {"images.series_description": ""},
    ],
)
def test_values_out_of_range_are_refused(override: dict[str, str]) -> None:
    (name,) = override
    assert name in refused(None, **override)


def test_a_hash_that_is_none_is_refused(write: Any) -> None:
    assert "no 'model.sha256'" in refused(write(model={"file": "a.pt"}))
    assert "no 'model'" in refused(write({"name": "own"}))
    assert "64 hexadecimal digits" in refused(write(model={"sha256": "abc"}))


def test_files_that_are_no_pipeline_are_refused(write: Any, tmp_path: Path) -> None:
    assert "no settings" in refused(write(text=""))
    assert "no settings" in refused(write(text="- a list\n"))
    assert "cannot be read" in refused(write(text="model: [unclosed\n"))
    assert "cannot be read" in refused(write(text="model: !!python/object/apply:os.getcwd []\n"))
    assert "no pipeline" in refused("no-such-name") and "smug-cartesian" in refused("no-such-name")
    assert "no pipeline" in refused(tmp_path / "absent.yaml")
    assert "no pipeline" in refused(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\x89HDF\r\n\xff\xfe")
    assert "cannot be read" in refused(binary)
    long = tmp_path / "long.yaml"
    long.write_text("#" * 2**21)
    assert "bytes" in refused(long)


def test_nested_aliases_end_in_a_short_message(write: Any) -> None:
    """Nine times nine references of nine: expanded, they would fill the memory."""
    names = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 12)]
    text = "\n".join(["a0: &a0 [x]", *names, "seed: *a11", f"model: {{sha256: {SHA}}}"])
    refused(write(text=text))


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
    from smug_recon.replay.configuration import configuration_element

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


def test_settings_of_the_command_line() -> None:
    assert parse_settings(["images.type=float32", "images.series_description = A=B "]) == {
        "images.type": "float32",
        "images.series_description": "A=B",
    }
    for wrong in ("images.type", "=1", " =1"):
        with pytest.raises(ConfigurationError, match="KEY=VALUE"):
            parse_settings([wrong])
