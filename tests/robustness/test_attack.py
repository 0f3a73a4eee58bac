"""Attacks: inside their ball, never less damaging than their start, and what theory says about linear methods and averages."""

from __future__ import annotations

import pytest
import torch
from tiny_networks import tiny

from smug_recon.robustness.jobs.probes import Probe
from smug_recon.robustness.measures.attack import (
    FIRST_SEED,
    Effort,
    ascend,
    linear_effort,
    mean_gradient,
    mean_value,
)
from smug_recon.robustness.measures.attacked import effort_of, error_objective, find, gradients
from smug_recon.robustness.measures.inputs import ball, clean, disturbed, gaussian
from smug_recon.robustness.measures.norms import l2_norm
from smug_recon.robustness.methods.classical import CgSense
from smug_recon.robustness.methods.method import reconstruct
from smug_recon.robustness.scenes.scene import Scene


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("domain", ["kspace", "adjoint", "start"])
def test_attacks_stay_in_their_ball_and_beat_their_start(scene: Scene, domain: str, norm: str) -> None:
    method = tiny("smug")
    allowed = ball(scene, domain, norm, 0.01)
    objective = error_objective(method, scene, domain)
    seen: list[torch.Tensor] = []

    def watched(delta: torch.Tensor, seed: int) -> torch.Tensor:
        seen.append(delta.detach())
        return objective(delta, seed)

    tried = Effort(steps=2, step=0.9, restarts=2, eot=2)
    start = allowed.random(torch.Generator().manual_seed(3))
    delta = ascend(watched, allowed, tried, seed=1, start=start)
    assert all(allowed.contains(iterate) for iterate in [*seen, delta])
    judged = [FIRST_SEED, FIRST_SEED + 1]
    assert mean_value(objective, delta, judged) >= mean_value(objective, start, judged)
    assert mean_value(objective, delta, judged) > mean_value(objective, 0 * start, judged)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("domain", ["kspace", "adjoint"])
def test_projection_is_the_identity_inside_and_lands_on_the_boundary(
    scene: Scene, domain: str, norm: str
) -> None:
    allowed = ball(scene, domain, norm, 0.1)
    inside = allowed.random(torch.Generator().manual_seed(0))
    assert allowed.contains(inside)
    assert torch.allclose(allowed.project(inside), inside)
    outside = allowed.project(100 * inside + 5)
    assert allowed.contains(outside)
    assert torch.equal(outside * (1 - allowed.support), torch.zeros_like(outside))
    if norm == "l2":
        assert l2_norm(outside) == pytest.approx(float(allowed.radius_b), rel=1e-5)
        cube = ball(scene, domain, "linf", 0.1)
        assert float(cube.radius_b) == pytest.approx(0.1 * scene.peak)
        corner = cube.ascent(torch.complex(cube.support, cube.support))
        assert l2_norm(corner) == pytest.approx(
            float(allowed.radius_b), rel=1e-5
        )  # equal strength, equal energy


def test_strength_zero_changes_nothing(scene: Scene) -> None:
    for domain in ("kspace", "adjoint"):
        probe = Probe(kind="attack", perturbation="x", strength=0.0, steps=3, domain=domain)
        delta = find(probe, tiny("modl"), scene, 0, 0)
        assert torch.equal(disturbed(scene, domain, delta), clean(scene, domain))
        noise = gaussian(scene, domain, 0.0, 0)
        assert torch.equal(disturbed(scene, domain, noise), clean(scene, domain))


def test_the_averaged_gradient_is_the_gradient_of_the_average(scene: Scene) -> None:
    method, domain = tiny("smug"), "kspace"
    objective = error_objective(method, scene, domain)
    delta = ball(scene, domain, "linf", 0.02).random(torch.Generator().manual_seed(0))
    seeds = [5, 6, 7]
    value, gradient = mean_gradient(objective, delta, seeds)
    variable = delta.clone().requires_grad_(True)
    mean = torch.stack([objective(variable, seed) for seed in seeds]).mean()
    (expected,) = torch.autograd.grad(mean, variable)
    assert value == pytest.approx(float(mean.detach()), rel=1e-5)
    assert torch.allclose(gradient, expected, atol=1e-6 * float(expected.abs().max()))


def test_gradients_agree_through_the_iterations_and_through_the_solution(scene: Scene) -> None:
    method = tiny("modl")
    objective = error_objective(method, scene, "kspace")
    delta = ball(scene, "kspace", "linf", 0.02).random(torch.Generator().manual_seed(0))
    found = {}
    for through in ("implicit", "iterations"):
        with gradients(method, through):
            found[through] = mean_gradient(objective, delta, [0])[1]
    assert method.network.implicit
    error = (found["implicit"] - found["iterations"]).abs().max() / found["iterations"].abs().max()
    assert 0 < float(error) < 0.02


def test_the_gradient_is_the_slope(scene: Scene) -> None:
    method = tiny("modl")
    objective = error_objective(method, scene, "adjoint")
    allowed = ball(scene, "adjoint", "l2", 0.02)
    delta = allowed.random(torch.Generator().manual_seed(1))
    with gradients(method, "iterations"):
        _, gradient = mean_gradient(objective, delta, [0])
    along = 0.02 * allowed.ascent(gradient)
    slope = float((gradient.conj() * along).real.sum())
    up, down = (float(objective(delta + side * along, 0)) for side in (1, -1))
    assert slope > 0
    assert (up - down) / 2 == pytest.approx(slope, rel=0.03)


def test_worst_perturbation_of_cg_sense_is_its_top_singular_vector(scene: Scene) -> None:
    """With no error to begin with the L2 attack on a linear method is power iteration: gain = largest singular value."""
    small = Scene(
        "small",
        "s",
        scene.kspace_bcyx[:, :, 12:20, 8:16],
        scene.maps_bcyx[:, :, 12:20, 8:16],
        scene.mask[:, 12:20],
        scene.target_byx[:, 12:20, 8:16],
        scene.level_b,
    )
    method = CgSense(0.2, iterations=15)

    def response(delta: torch.Tensor, seed: int) -> torch.Tensor:
        return reconstruct(method, "adjoint", delta, small, seed).abs().square().sum()

    allowed = ball(small, "adjoint", "l2", 0.01)
    delta = ascend(response, allowed, linear_effort(25), seed=0)
    basis = torch.eye(64, dtype=torch.complex64).reshape(64, 1, 8, 8)
    matrix = torch.stack([reconstruct(method, "adjoint", one, small, 0).flatten() for one in basis], 1)
    top = float(torch.linalg.matrix_norm(matrix, 2))
    gain = float(response(delta, 0)) ** 0.5 / l2_norm(delta)
    assert l2_norm(delta) == pytest.approx(float(allowed.radius_b), rel=1e-4)
    assert gain == pytest.approx(top, rel=0.01)
    assert top <= 1 / 0.2 * 1.001


def test_power_steps_on_a_linear_method_never_lose(scene: Scene) -> None:
    method = CgSense(0.05, iterations=15)
    for norm in ("linf", "l2"):
        probe = Probe(kind="attack", perturbation="x", strength=0.01, domain="kspace", norm=norm)
        objective = error_objective(method, scene, "kspace")
        values = []
        for steps in (1, 2, 4):
            tried = effort_of(probe.model_copy(update={"steps": steps}), method, 0)
            values.append(
                mean_value(objective, ascend(objective, ball(scene, "kspace", norm, 0.01), tried, 0), [0])
            )
        assert values == sorted(values)


def test_own_attack_is_stronger_than_the_transferred_one(scene: Scene) -> None:
    target, source = tiny("smug", seed=4), tiny("modl", seed=9)
    wins = 0.0
    for start_seed in range(2):
        probe = Probe(kind="attack", perturbation="x", strength=0.01, steps=5, domain="kspace", eot=2)
        objective = error_objective(target, scene, "kspace")
        own = find(probe, target, scene, 0, start_seed)
        transferred = find(probe, source, scene, 0, start_seed)
        judged = [0, 1, 2]
        wins += mean_value(objective, own, judged) - mean_value(objective, transferred, judged)
    assert wins > 0


def test_kspace_perturbations_touch_sampled_positions_only(scene: Scene) -> None:
    allowed = ball(scene, "kspace", "linf", 0.01)
    delta = allowed.random(torch.Generator().manual_seed(0))
    moved = disturbed(scene, "kspace", delta) - scene.kspace_bcyx
    assert float((moved.abs() * (1 - scene.mask[:, None, :, None])).max()) == 0
    assert l2_norm(moved) == pytest.approx(l2_norm(delta), rel=1e-5)
    noise = gaussian(scene, "kspace", 0.01, 0)
    expected = 0.01 * scene.peak * (2 * float(allowed.support.sum())) ** 0.5
    assert l2_norm(noise) == pytest.approx(expected, rel=0.05)
