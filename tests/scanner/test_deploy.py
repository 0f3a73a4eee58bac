"""OpenRecon label and names, container, compose file and service unit: as far as they can be checked without a host."""

from __future__ import annotations

import base64
import configparser
import copy
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from smug_recon.__main__ import app
from smug_recon.errors import ConfigurationError
from smug_recon.scanner.catalogue import Catalogue, parameters
from smug_recon.scanner.openrecon import LABEL, OFFERED, PORT, check_label, encoded, file_names, label

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "scanner" / "deploy"


def test_the_label_follows_the_pipeline():
    found = label()
    check_label(found)
    by_id = {parameter["id"]: parameter for parameter in found["parameters"]}
    assert set(by_id) > {"config", "imagestype", "imagesconventional", "strict", "coilmapsfolding"}
    assert [value["id"] for value in by_id["imagestype"]["values"]] == ["uint16", "float32", "complex64"]
    assert by_id["imagesconventional"]["default"] is False and len(by_id) == 1 + len(OFFERED)
    assert json.loads(base64.b64decode(encoded(found))) == found


def test_what_the_operator_can_choose_is_what_the_server_takes():
    catalogue = Catalogue()
    for parameter in label()["parameters"]:
        values = [one["id"] for one in parameter.get("values", [])] or [True, False, "true"]
        for value in values:
            name, overrides = parameters(json.dumps({"parameters": {parameter["id"]: value}}))
            catalogue.pipeline(name or "smug-cartesian", overrides)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("general", "version"), "1.0"),
        (("general", "name"), {"en": "a_b"}),
        (("reconstruction", "emitter"), "kspace"),
        (("reconstruction", "port"), 0),
        (("parameters", 1, "id"), "images.type"),
        (("parameters", 1, "default"), "int16"),
        (("parameters", 2, "default"), "no"),
        (("parameters", 1, "id"), "config"),
    ],
)
def test_a_label_against_the_rules_is_refused(place, value):
    broken = copy.deepcopy(label())
    part = broken
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    with pytest.raises(ConfigurationError):
        check_label(broken)


def test_the_names_of_the_package_agree_with_the_label():
    names = file_names(label())
    assert names["image"] == "openrecon_smug-recon_smug-recon:v0.1.0"
    assert {Path(names[kind]).stem for kind in ("tar", "pdf", "zip")} == {
        "OpenRecon_smug-recon_smug-recon_V0.1.0"
    }
    printed = CliRunner().invoke(app, ["openrecon-label", "--as", "build"]).output
    assert all(name in printed for name in names.values()) and LABEL in printed


def test_the_container_starts_the_server_as_the_label_says():
    lines = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")
    words = json.loads(lines.rsplit("CMD ", 1)[1])
    assert words[:2] == ["smug-recon", "serve"] and words[words.index("--port") + 1] == str(PORT)
    assert options(words[2:]) <= known_options()
    assert "USER smug-recon" in lines and f"EXPOSE {PORT}" in lines


def test_the_compose_file_publishes_loopback_alone_and_gives_no_rights():
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["smug-recon"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    image = json.loads((DEPLOY / "Dockerfile").read_text().replace("\\\n", "").rsplit("CMD ", 1)[1])
    assert service["command"] == [*image, "--spool", "/var/lib/smug-recon/spools"]
    assert options(service["command"][2:]) <= known_options()


def test_all_that_the_image_is_built_from_is_there(tmp_path):
    """What COPY brings in, less what .dockerignore leaves out: pip makes the package of it, whole."""
    text = (DEPLOY / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (\S+) ", text, re.MULTILINE)
    assert copied == ["."] and 'pip install "/tmp/smug-recon[metrics]"' in text
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    patterns = [line.removeprefix("**/") for line in ignored if line and not line.startswith("#")]
    shutil.copytree(ROOT, tmp_path / "context", ignore=shutil.ignore_patterns(*patterns))
    code = "import setuptools.build_meta as b, sys; print(b.build_wheel(sys.argv[1]))"
    built = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=tmp_path / "context", capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr[-2000:]
    with zipfile.ZipFile(tmp_path / built.stdout.split()[-1]) as wheel:
        inside = set(wheel.namelist())
        entry = next(name for name in inside if name.endswith("entry_points.txt"))
        assert "smug-recon = smug_recon.__main__:main" in wheel.read(entry).decode()
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    for package in settings["options"]["packages"].split():
        assert package.replace(".", "/") + "/__init__.py" in inside, package
    for name in (
        "smug_recon/pipelines/smug-cartesian.yaml",
        "smug_recon/scanner/deploy/Dockerfile",
        "smug_recon/web/page/index.html",
    ):
        assert name in inside
    assert any(name.endswith(".pt") for name in inside)


def test_the_service_unit_is_one_that_systemd_takes(tmp_path):
    text = (DEPLOY / "smug-recon.service").read_text()
    command = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    words = command.removeprefix("ExecStart=").split()
    assert words[1] == "serve" and options(words[2:]) <= known_options()
    for line in ("DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet="):
        assert line in text.splitlines()
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze (Debian: systemd)")
    unit = tmp_path / "smug-recon.service"
    unit.write_text(text.replace(words[0], sys.executable))
    result = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and "smug-recon.service" not in result.stderr, result.stderr


def options(words: list[str]) -> set[str]:
    return {word for word in words if word.startswith("--")}


def known_options() -> set[str]:
    from typer.main import get_command

    command = get_command(app).commands["serve"]  # type: ignore[attr-defined]
    return {name for parameter in command.params for name in parameter.opts}
