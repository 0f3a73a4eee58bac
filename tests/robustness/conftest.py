"""Made-up held-out slices of two subjects, weights files of tiny networks, and a config that evaluates them in a second."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_networks import SCAN, network_config, randomised

from smug_recon.robustness.scenes.scene import Scene, draw_scene, held_out
from smug_recon.robustness.settings.data import DataSettings
from smug_recon.robustness.settings.evaluation import EvaluationConfig
from smug_recon.robustness.settings.methods import MethodSettings
from smug_recon.training.weights import save_weights


@pytest.fixture(scope="session")
def slices_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slices") / "held_out.h5"
    y, x = np.mgrid[-1:1:44j, -1:1:40j]
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for subject, split, contrast in (
            ("one", "test", "T1w"),
            ("two", "test", "T2w"),
            ("three", "val", "T1w"),
        ):
            group = file.create_group(f"{subject}/{contrast}_axial")
            head = ((y / 0.8) ** 2 + (x / 0.7) ** 2 < 1)[None] * rng.uniform(0.6, 1, (4, 1, 1))
            group["slices"] = (4095 * head * (0.7 + 0.3 * np.cos(9 * x + 5 * y))).astype(np.uint16)
            attributes = {"subject": subject, "split": split, "orientation": "axial", "contrast": contrast}
            group.attrs.update({**attributes, "license": "CC0-1.0", "attribution": f"maker of {subject}"})
    return path


@pytest.fixture(scope="session")
def data(slices_file: Path) -> DataSettings:
    return DataSettings(slices=slices_file, per_subject=2)


@pytest.fixture(scope="session")
def scene(data: DataSettings) -> Scene:
    return draw_scene(held_out(data, SCAN)[0], SCAN, 0)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for method in ("modl", "smug"):
        config = network_config(method)
        save_weights(folder / f"{method}.safetensors", config, randomised(config, 0).state_dict(), {})
    return folder


@pytest.fixture
def evaluation(data: DataSettings, models: Path) -> EvaluationConfig:
    methods = (
        MethodSettings(name="zero-filled", kind="zero-filled"),
        MethodSettings(name="cg-sense", kind="cg-sense", regularisation=0.02, iterations=15),
        MethodSettings(name="modl", weights=models / "modl.safetensors"),
        MethodSettings(name="smug", weights=models / "smug.safetensors", samples=2),
    )
    return EvaluationConfig(
        name="tiny", data=data, scan=SCAN, methods=methods, reference="modl", resamples=200
    )
