"""The pipeline file and the configurations that lead to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from refusals import refused

from smug_recon.errors import ConfigurationError
from smug_recon.pipeline import (
    Pipeline,
    find_pipeline,
    load_pipeline,
    parse_settings,
    shipped_folder,
)

SHA = "ab" * 32


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


def test_settings_of_the_command_line() -> None:
    assert parse_settings(["images.type=float32", "images.series_description = A=B "]) == {
        "images.type": "float32",
        "images.series_description": "A=B",
    }
    for wrong in ("images.type", "=1", " =1"):
        with pytest.raises(ConfigurationError, match="KEY=VALUE"):
            parse_settings([wrong])
