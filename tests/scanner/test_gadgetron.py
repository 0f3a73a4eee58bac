"""The shipped configurations as Gadgetron 4 parses them, and their way into a Gadgetron."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner

import smug_recon.gadgets
from smug_recon.__main__ import app
from smug_recon.configuration import properties
from smug_recon.pipeline import load_pipeline, pipeline_of
from smug_recon.scanner.gadgetron_home import CONFIGS, configurations


@dataclass
class Parsed:
    """What Gadgetron keeps of a configuration: readers, writers, gadgets, and its external nodes."""

    readers: list[tuple[str, str]] = field(default_factory=list)
    writers: list[tuple[str, str]] = field(default_factory=list)
    gadgets: list[str] = field(default_factory=list)
    external: list[dict] = field(default_factory=list)


def classes(root: ET.Element, group: str, kind: str) -> list[tuple[str, str]]:
    return [
        (part.findtext("dll", ""), part.findtext("classname", "")) for part in root.findall(f"{group}/{kind}")
    ]


def gadget_properties(node: ET.Element) -> dict[str, str]:
    """Each property in exactly one of the two spellings, as ``parse_property`` wants it."""
    found = {}
    for part in node.findall("property"):
        short = part.get("name") is not None and part.get("value") is not None
        long = part.find("name") is not None and part.find("value") is not None
        assert short + long == 1, (
            "Unable to parse property" if not short + long else "Ambiguous property parse"
        )
        found[part.get("name") or part.findtext("name", "")] = part.get("value") or part.findtext("value", "")
    return found


def parse(xml: bytes) -> Parsed:
    """A configuration of version 2, after Config.cpp of Gadgetron 4: what it would not take fails here."""
    root = ET.fromstring(xml)
    assert root.tag == "configuration" and root.findtext("version") == "2", "No parser accepted config file."
    parsed = Parsed(classes(root, "readers", "reader"), classes(root, "writers", "writer"))
    stream = root.find("stream")
    for node in stream if stream is not None else ():
        assert node.tag in (
            "gadget",
            "parallel",
            "external",
            "distributed",
            "parallelprocess",
            "puredistributed",
        )
        if node.tag == "gadget":
            gadget_properties(node)
            parsed.gadgets.append(node.findtext("classname", ""))
        elif node.tag == "external":
            action = next(part for part in node if part.tag in ("execute", "connect"))
            parsed.external.append({"action": action, "configuration": node.find("configuration")})
    return parsed


@pytest.mark.parametrize("path", configurations(), ids=lambda path: path.stem)
def test_every_shipped_configuration_is_one_that_gadgetron_runs(path):
    parsed = parse(path.read_bytes())
    assert ("gadgetron_core_readers", "AcquisitionReader") in parsed.readers
    assert ("gadgetron_core_writers", "ImageWriter") in parsed.writers
    (node,) = parsed.external
    action = node["action"]
    if action.tag == "execute":
        assert (action.get("name"), action.get("type")) == ("smug_recon.gadgets", "python")
        assert callable(getattr(smug_recon.gadgets, action.get("target")))
    else:
        assert action.get("address") == "127.0.0.1" and 0 < int(action.get("port")) < 65536
    # What travels is the element alone, written anew by Gadgetron.
    sent = ET.fromstring(b"<?xml version='1.0'?>\n" + ET.tostring(node["configuration"]))
    assert properties(sent)["pass_on"] == "images"
    assert pipeline_of(sent).model_path == load_pipeline().model_path


def test_there_is_one_with_execute_one_with_connect_one_behind_the_front_end():
    parsed = {path.stem: parse(path.read_bytes()) for path in configurations()}
    actions = {name: one.external[0]["action"].tag for name, one in parsed.items()}
    assert actions["Generic_Cartesian_SMUG"] == "execute" and "connect" in actions.values()
    assert "BucketToBufferGadget" in parsed["Generic_Cartesian_SMUG_buffers"].gadgets


@pytest.mark.parametrize("spelling", ['<property name="images.type" value="float32"/>',
                                      "<property><name>images.type</name><value>float32</value></property>"])  # fmt: skip
def test_both_spellings_override_by_dotted_name(spelling):
    assert pipeline_of(ET.fromstring(f"<configuration>{spelling}</configuration>")).images.type == "float32"


def invoke(*words):
    return CliRunner().invoke(app, ["install-gadgetron", *words])


def test_installing_copies_says_so_and_does_it_once(tmp_path):
    (tmp_path / CONFIGS).mkdir(parents=True)
    first, second = invoke("--home", str(tmp_path)), invoke("--home", str(tmp_path))
    assert first.exit_code == second.exit_code == 0
    for source in configurations():
        assert (tmp_path / CONFIGS / source.name).read_bytes() == source.read_bytes()
        assert f"{source.name}  new" in first.output and f"{source.name}  already there" in second.output


def test_a_file_that_the_site_changed_is_kept_and_named(tmp_path):
    folder = tmp_path / CONFIGS
    folder.mkdir(parents=True)
    changed = folder / "Generic_Cartesian_SMUG.xml"
    changed.write_text("<configuration/>")
    kept = invoke("--home", str(tmp_path))
    assert kept.exit_code == 3 and "Generic_Cartesian_SMUG.xml  kept" in kept.output
    assert changed.read_text() == "<configuration/>"
    forced = invoke("--home", str(tmp_path), "--force")
    assert forced.exit_code == 0 and "Generic_Cartesian_SMUG.xml  replaced" in forced.output
    assert changed.with_name(changed.name + ".before").read_text() == "<configuration/>"
    assert sorted(path.suffix for path in folder.iterdir()) == [".before", *[".xml"] * len(configurations())]


def test_a_folder_that_is_no_gadgetron_is_refused(tmp_path):
    result = invoke("--home", str(tmp_path))
    assert "share/gadgetron/config" in str(result.exception) and not list(tmp_path.iterdir())


def test_the_home_is_found_in_the_environment(tmp_path, monkeypatch):
    (tmp_path / CONFIGS).mkdir(parents=True)
    monkeypatch.setenv("GADGETRON_HOME", str(tmp_path))
    assert invoke().exit_code == 0 and len(list((tmp_path / CONFIGS).glob("*.xml"))) == len(configurations())


def test_the_page_names_the_commands_that_exist():
    page = (Path(__file__).parents[2] / "docs" / "gadgetron.md").read_text()
    assert "smug-recon install-gadgetron" in page and "gadgetron_ismrmrd_client" in page
    for path in configurations():
        assert path.name in page
