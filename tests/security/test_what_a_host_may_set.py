"""What a host can set of a pipeline: nothing that names a file of this machine or chooses what is executed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from smug_recon.errors import ConfigurationError
from smug_recon.pipeline import load_pipeline
from smug_recon.scanner.catalogue import PROTECTED, Catalogue, parameters, settable


def flat(settings: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def test_every_setting_that_names_a_file_or_a_folder_is_protected() -> None:
    for name in flat(load_pipeline().model_dump()):
        if any(word in name for word in ("file", "folder", "path", "sha256")):
            assert name in PROTECTED and name not in settable()


@pytest.mark.parametrize("name", PROTECTED)
@pytest.mark.parametrize("nested", [False, True])
def test_a_host_that_sets_it_all_the_same_is_refused(name: str, nested: bool) -> None:
    group, key = name.split(".")
    given = {group: {key: "/etc/passwd"}} if nested else {name: "/etc/passwd"}
    _, overrides = parameters(json.dumps({"parameters": given}))
    with pytest.raises(ConfigurationError, match="on this machine"):
        Catalogue().pipeline("smug-cartesian", overrides)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "smug-cartesian/../x", "", "~/x.yaml", "file:///etc/passwd"]
)
def test_a_host_names_configurations_and_no_files(name: str) -> None:
    with pytest.raises(ConfigurationError, match="no configuration"):
        Catalogue().pipeline(name)
