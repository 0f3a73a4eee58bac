"""The weights that the tables rest on: small, made by a config that is there, with the attribution of their data."""

from __future__ import annotations

from pathlib import Path

import pytest

from smug_recon.training.config import load_config
from smug_recon.training.weights import network_of, read_about

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "benchmarks" / "models").glob("*.safetensors"))

pytestmark = pytest.mark.skipif(not FILES, reason="needs the repository, not the installed package")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_weights_have_their_config_and_their_sources(path: Path) -> None:
    assert path.stat().st_size <= 2_000_000
    network, about = read_about(path)
    config = load_config(ROOT / "training" / "configs" / "compact" / f"{path.stem}.yaml")
    assert (network, about["name"]) == (config.network, config.name)
    assert about["updates"] == {f"{n} {stage.task}": stage.updates for n, stage in enumerate(config.stages)}
    assert all(source["licence"] and source["attribution"] for source in about["training_data"])
    assert about["training_data"] and len(about["commit"].rstrip("+")) == 40
    assert sum(value.numel() for value in network_of(network).parameters()) < 500_000
