"""Methods reconstruct as the package does elsewhere, and their run-time settings do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_networks import network_config, randomised, tiny

from smug_recon.errors import ConfigurationError
from smug_recon.physics import cg_sense
from smug_recon.robustness.measures.measure import counted
from smug_recon.robustness.measures.norms import l2_norm
from smug_recon.robustness.methods.bounded import Bounded
from smug_recon.robustness.methods.classical import CgSense, ZeroFilled
from smug_recon.robustness.methods.loading import build_method, network_method
from smug_recon.robustness.methods.network import denoisers
from smug_recon.robustness.methods.tuning import tune
from smug_recon.robustness.methods.wavelet import L1Wavelet
from smug_recon.robustness.scenes.scene import Scene
from smug_recon.robustness.settings.methods import MethodSettings
from smug_recon.training.psnr import psnr_db


@pytest.mark.parametrize("method", ["modl", "smug", "weighted-smug", "rs-e2e"])
def test_networks_run_as_on_the_scanner(scene: Scene, method: str) -> None:
    own = tiny(method)
    image = own.from_kspace(7 * scene.kspace_bcyx, scene, 3)
    expected, _ = own.network(7 * scene.kspace_bcyx, scene.maps_bcyx, scene.mask, 3, own.samples)
    assert torch.equal(image, expected)
    start = own.from_adjoint(scene.adjoint_byx, scene, 3)  # the scene's scale is 1
    assert l2_norm(start - image / 7) < 1e-4 * l2_norm(start)
    assert torch.allclose(own.from_start(scene.adjoint_byx, scene, 3), start, atol=1e-5)
    assert l2_norm(own.from_start(2 * scene.adjoint_byx, scene, 3) - start) > 1e-3 * l2_norm(start)
    assert own.stochastic == (method != "modl")


def test_the_weights_of_the_copies_can_be_replaced(scene: Scene) -> None:
    settings = MethodSettings(name="x", weights=Path("x"), samples=4, weighting="uniform")
    smug = network_method(
        settings.model_copy(update={"weighting": None}), randomised(network_config("smug"), 0), "x"
    )
    weighted = randomised(network_config("weighted-smug"), 0)
    weighted.regulariser.denoiser.load_state_dict(smug.network.regulariser.denoiser.state_dict())
    image = smug.from_kspace(scene.kspace_bcyx, scene, 3)
    uniform = network_method(settings, weighted, "x")
    assert torch.allclose(uniform.from_kspace(scene.kspace_bcyx, scene, 3), image)
    spread = network_method(settings.model_copy(update={"weighting": "spread"}), weighted, "x")
    assert not torch.allclose(spread.from_kspace(scene.kspace_bcyx, scene, 3), image)
    with pytest.raises(ConfigurationError, match="without smoothing"):
        network_method(settings, randomised(network_config("modl"), 0), "x")


def test_settings_replace_the_networks_own(scene: Scene) -> None:
    network = randomised(network_config("smug"), 0)
    settings = MethodSettings(
        name="x",
        weights=Path("x"),
        samples=4,
        sigma=0.2,
        sampling="antithetic",
        steps=3,
        mirror=True,
        bound="clip",
    )
    method = network_method(settings, network, "x")
    regulariser = method.network.regulariser
    assert (regulariser.sigma, regulariser.antithetic, regulariser.mirror) == (0.2, True, True)
    (denoiser,) = denoisers(method)
    assert isinstance(denoiser, Bounded)
    with counted(method) as calls:
        method.from_kspace(scene.kspace_bcyx, scene, 0)
    assert calls == [12]
    with counted(method.with_steps(5)) as calls:
        method.with_steps(5).from_kspace(scene.kspace_bcyx, scene, 0)
    assert calls == [0]  # the copy has denoisers of its own
    assert method.network.steps == 3
    silent = network_method(settings.model_copy(update={"samples": 0}), network, "x")
    assert not silent.stochastic


def test_a_right_scale_changes_nothing_and_a_wrong_one_does(scene: Scene) -> None:
    method = tiny("modl")
    image = method.from_kspace(scene.kspace_bcyx, scene, 0)
    assert l2_norm(method.misscaled(scene, 1.0, 0) - image) == 0
    assert l2_norm(method.misscaled(scene, 2.0, 0) - image) > 1e-3 * l2_norm(image)


def test_cg_sense_is_that_of_the_package_and_linear(scene: Scene) -> None:
    method = CgSense(0.02, iterations=60)
    image = method.from_kspace(scene.kspace_bcyx, scene, 0)
    assert torch.equal(image, method.from_adjoint(scene.adjoint_byx, scene, 0))
    expected = cg_sense(scene.kspace_bcyx, scene.maps_bcyx, scene.mask, 0.02, 60)
    assert l2_norm(image - expected) < 1e-3 * l2_norm(expected)
    assert torch.equal(image, method.from_start(7 * scene.adjoint_byx, scene, 0))
    double = method.from_kspace((2 - 1j) * scene.kspace_bcyx, scene, 0)
    assert l2_norm(double - (2 - 1j) * image) < 1e-3 * l2_norm(double)
    assert torch.equal(ZeroFilled().from_kspace(scene.kspace_bcyx, scene, 0), scene.adjoint_byx)


def test_wavelets_solve_the_same_problem_from_kspace_and_from_the_adjoint(scene: Scene) -> None:
    method = L1Wavelet(0.01, iterations=60)
    image = method.from_kspace(scene.kspace_bcyx, scene, 0)
    assert l2_norm(image - method.from_adjoint(scene.adjoint_byx, scene, 0)) < 0.03 * l2_norm(image)
    assert psnr_db(image, scene.target_byx) > psnr_db(scene.adjoint_byx, scene.target_byx)
    assert torch.equal(image, method.from_kspace(scene.kspace_bcyx, scene, 1))


def test_tuning_finds_the_best_of_the_grid(scene: Scene) -> None:
    grid = (1e-3, 1e-2, 3e-2, 1e-1, 1.0)
    best = tune(lambda value: CgSense(value, 15), [scene], grid)

    def quality(value: float) -> float:
        return float(psnr_db(CgSense(value, 15).from_kspace(scene.kspace_bcyx, scene, 0), scene.target_byx))

    assert quality(best) == max(quality(value) for value in grid)


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not tuned"):
        build_method(MethodSettings(name="c", kind="cg-sense"))
    with pytest.raises(ConfigurationError, match="gone"):
        build_method(MethodSettings(name="n", weights=Path("gone.safetensors")))
    with pytest.raises(ValueError, match="weights belong"):
        MethodSettings(name="n")
