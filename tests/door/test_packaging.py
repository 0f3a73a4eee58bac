"""The packages that setup.cfg lists are the rooms on disk, and the data files that they need are named."""

from __future__ import annotations

import configparser
import importlib
import importlib.metadata
from pathlib import Path

import smug_recon

ROOT = Path(__file__).resolve().parents[2]
DATA = (".yaml", ".xml", ".pt", ".safetensors", ".html", ".css", ".js", ".svg", ".service", ".json", ".h5")


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def rooms() -> set[str]:
    tops = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"]
    found = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for top in tops
        for path in top.glob("**/__init__.py")
    }
    inside = {
        path.parent.relative_to(ROOT / "src").as_posix().replace("/", ".")
        for path in ROOT.glob("src/**/__init__.py")
    }
    return {f"smug_recon.{name}" for name in found} | inside


def test_listed_packages_are_the_rooms_on_disk() -> None:
    listed = set(setup()["options"]["packages"].split())
    assert listed == rooms()


def test_every_room_has_its_folder_in_the_map() -> None:
    mapped = dict(line.split(" = ") for line in setup()["options"]["package_dir"].strip().splitlines())
    for package in rooms() - {"smug_recon.commands"}:
        top = package if package in mapped else package.rpartition(".")[0]
        inside = package.removeprefix(top).replace(".", "/")
        assert (ROOT / f"{mapped[top]}{inside}" / "__init__.py").is_file()
        assert importlib.import_module(package).__doc__


def test_the_page_on_architecture_names_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    for package in rooms() - {"smug_recon.commands", "smug_recon"}:
        folder = package.removeprefix("smug_recon.").replace(".", "/")
        assert f"| `{folder}/` | `{package}` |" in page, package


def test_version_is_said_once() -> None:
    assert smug_recon.__version__ == setup()["metadata"]["version"]


def test_data_files_exist_and_are_matched() -> None:
    for package, patterns in setup()["options.package_data"].items():
        folder = ROOT / package.removeprefix("smug_recon.")
        for pattern in patterns.split(", "):
            assert list(folder.glob(pattern.strip())), f"{package}: nothing matches {pattern}"


def test_no_data_file_of_a_room_stays_behind() -> None:
    patterns = setup()["options.package_data"]
    for package in rooms() - {"smug_recon.commands", "smug_recon"}:
        folder = ROOT / package.removeprefix("smug_recon.")
        installed = {
            path
            for pattern in patterns.get(package, "").split(", ")
            if pattern
            for path in folder.glob(pattern)
        }
        data = {path for kind in DATA for path in folder.rglob(f"*{kind}")}
        assert data <= installed, f"{package}: not in setup.cfg: {sorted(data - installed)}"
