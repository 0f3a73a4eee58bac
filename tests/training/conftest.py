"""A small file of made-up slices in the layout that training reads, and a config that trains on it in seconds."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from smug_recon.training.config import DataConfig, NetworkConfig, ScanConfig, StageConfig, TrainingConfig


@pytest.fixture
def slices_file(tmp_path: Path) -> Path:
    path = tmp_path / "slices.h5"
    y, x = np.mgrid[-1:1:40j, -1:1:36j]
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for subject, split in (("one", "train"), ("two", "val")):
            group = file.create_group(f"{subject}/T1w_axial")
            head = ((y / 0.8) ** 2 + (x / 0.7) ** 2 < 1)[None] * rng.uniform(0.4, 1, (3, 1, 1))
            group["slices"] = (4095 * head * (0.8 + 0.2 * np.cos(9 * x + 5 * y))).astype(np.uint16)
            attributes = {"subject": subject, "split": split, "orientation": "axial", "contrast": "T1w"}
            group.attrs.update({**attributes, "license": "CC0-1.0", "attribution": f"maker of {subject}"})
    return path


@pytest.fixture
def config(slices_file: Path) -> TrainingConfig:
    scans = ScanConfig(
        lines_y=(40, 48),
        slab_x=24,
        coils=(2, 3),
        calibration=(8, 10),
        calibration_width=8,
        estimated_maps=0.0,
    )
    stages = (
        StageConfig(task="denoise", updates=3, batch=2, warm_up=1),
        StageConfig(task="unroll", updates=4, batch=2, samples=2, warm_up=1),
    )
    network = NetworkConfig(
        method="smug", channels=(8, 8), steps=2, lam=0.1, learned_lambda=True, iterations=4
    )
    return TrainingConfig(
        name="tiny",
        data=DataConfig(slices=slices_file, scans=scans),
        network=network,
        stages=stages,
        workers=0,
        precision="float32",
    )
