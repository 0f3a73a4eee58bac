"""An exported model takes part in an evaluation with the very image that it gives on the scanner, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_networks import network_config, randomised

from smug_recon.errors import ModelError
from smug_recon.gadgets.model.file import load_model, sha256_of
from smug_recon.robustness.measures.norms import l2_norm
from smug_recon.robustness.methods.loading import build_method
from smug_recon.robustness.scenes.scene import Scene
from smug_recon.robustness.settings.methods import MethodSettings
from smug_recon.training.config import NetworkConfig
from smug_recon.training.export import export


def exported(path: Path, config: NetworkConfig, **changes: Any) -> Path:
    """Write a tiny model; ``changes`` falsify its card."""
    card = {
        "format": "smug-recon-model/1",
        "name": "tiny",
        "version": "0",
        "method": config.method,
        "denoiser": {"name": "unet", "channels": list(config.channels), "precision": "float32"},
        "parameters": 1,
        "steps": config.steps,
        "lambda": {},
        "sigma": config.sigma,
        "samples": 2,
        "sampling": config.sampling,
        "scaling": "",
        "trained_range": {
            "anatomy": "none",
            "contrasts": "none",
            "matrix_yx": [[1, 2], [1, 2]],
            "coils": [1, 2],
            "acceleration": [1, 2],
            "calibration_lines": [1, 2],
            "patterns": "none",
        },
        "training_data": [],
        "metrics": {},
        "commit": "none",
    }
    export(randomised(config, 3), card | changes, path)
    return path


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("modl", {"learned_lambda": True}),
        ("smug", {"sampling": "antithetic", "mirror": True, "tolerance": 2e-3, "shared_noise": True}),
        ("rs-e2e", {"reading": "kspace"}),
        ("weighted-smug", {}),
    ],
)
def test_it_gives_the_image_of_the_model_file(
    scene: Scene, tmp_path: Path, method: str, changes: dict[str, Any]
) -> None:
    path = exported(tmp_path / "model.pt", network_config(method, **changes))
    own = build_method(MethodSettings(name="own", weights=path, samples=4))
    expected, _ = load_model(path, sha256_of(path), "cpu").forward(
        7 * scene.kspace_bcyx, scene.maps_bcyx, scene.mask, 5, 4
    )
    with torch.no_grad():
        image = own.from_kspace(7 * scene.kspace_bcyx, scene, 5)
    assert l2_norm(image - expected) < 1e-5 * l2_norm(expected)
    assert own.model == f"model@{sha256_of(path)[:8]}"


def test_it_can_be_differentiated_and_run_otherwise(scene: Scene, tmp_path: Path) -> None:
    path = exported(tmp_path / "model.pt", network_config("smug", mirror=True))
    plain = build_method(MethodSettings(name="plain", weights=path, samples=0, mirror=False))
    kspace = scene.kspace_bcyx.clone().requires_grad_()
    plain.from_kspace(kspace, scene, 0).abs().square().sum().backward()
    assert kspace.grad is not None and float(kspace.grad.abs().sum()) > 0
    pair = build_method(MethodSettings(name="pair", weights=path, samples=2))
    assert pair.stochastic and not plain.stochastic
    images = [one.from_kspace(scene.kspace_bcyx, scene, 0) for one in (pair, plain)]
    assert l2_norm(images[0] - images[1]) > 0


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"denoiser": {"name": "unet", "channels": [6, 10]}}, "does not fit its card"),
        ({"denoiser": {"name": "other", "channels": [6, 8]}}, "does not fit its card"),
        ({"denoiser": {"name": "didn", "channels": [6]}}, "does not fit its card"),
        ({"denoiser": "unet"}, "does not fit its card"),
        ({"steps": 3}, "does not fit its card"),
        ({"method": "weighted-smug"}, "does not fit its card"),
        ({"method": "modl"}, "whose image differs"),
        ({"format": "another"}, "model format"),
    ],
)
def test_a_card_of_another_network_is_refused(tmp_path: Path, changes: dict[str, Any], found: str) -> None:
    path = exported(tmp_path / "model.pt", network_config("smug"), **changes)
    with pytest.raises(ModelError, match=found):
        build_method(MethodSettings(name="own", weights=path))


def test_what_is_no_model_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"PK no archive")
    with pytest.raises(ModelError, match=r"model\.pt"):
        build_method(MethodSettings(name="own", weights=tmp_path / "model.pt"))
