"""Bounds hold where they are meant to: measured differences never exceed them."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_networks import SCAN, network_config, randomised, tiny

from smug_recon.network.smoothing import Smoothed
from smug_recon.network.unrolling import Unrolled
from smug_recon.robustness.jobs.context import Context
from smug_recon.robustness.jobs.job import plan_jobs
from smug_recon.robustness.measures.amplification import inverse_norm, pull, push, spectral_norm
from smug_recon.robustness.measures.bounded_jobs import jacobian_norm, measure_bounds
from smug_recon.robustness.measures.bounds import (
    bounded_output_change,
    local_amplification,
    log10_rs_e2e,
    log10_theorem_1,
    residual_change,
    smoothed_lipschitz,
)
from smug_recon.robustness.measures.inputs import ball, disturbed
from smug_recon.robustness.measures.norms import l2_norm
from smug_recon.robustness.measures.outputs import watched
from smug_recon.robustness.methods.bounded import Bounded
from smug_recon.robustness.scenes.scene import Scene
from smug_recon.robustness.settings.axes import BoundAxis
from smug_recon.robustness.settings.evaluation import EvaluationConfig

STEPS, LAMBDA, SIGMA, COPIES = 3, 0.5, 0.5, 300


class Cliff(torch.nn.Module):
    """As unsteady as a bounded denoiser can be: it jumps between -1 and 1 along every pixel."""

    def forward(self, image: torch.Tensor, level_b: torch.Tensor) -> torch.Tensor:
        return torch.sign(image)


def problem(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.view_as_complex(torch.randn(1, 2, 4, 3, 2, generator=generator))
    maps = maps / maps.abs().square().sum(1, keepdim=True).sqrt()
    mask = torch.tensor([[1.0, 0, 1, 1]])
    kspace = torch.view_as_complex(torch.randn(1, 2, 4, 3, 2, generator=generator)) * mask[:, None, :, None]
    delta = torch.view_as_complex(torch.randn(1, 2, 4, 3, 2, generator=generator)) * mask[:, None, :, None]
    return kspace, maps, mask, delta


def change(denoiser: torch.nn.Module, seed: int, size: float) -> tuple[float, float]:
    """Return the change of x_N of a smoothed network with many copies, and that of the samples."""
    from smug_recon.physics import sense_adjoint

    kspace, maps, mask, delta = problem(seed)
    delta = size * delta / l2_norm(delta)
    network = Unrolled(Smoothed(denoiser, SIGMA, "independent"), STEPS, LAMBDA, iterations=30, tolerance=1e-6)
    images = [
        network.unroll(sense_adjoint(y, maps, mask), maps, mask, torch.zeros(1), 0, COPIES)[0]
        for y in (kspace, kspace + delta)
    ]
    return l2_norm(images[1] - images[0]), size


@pytest.mark.parametrize("size", [0.05, 1.0])
def test_no_measured_difference_exceeds_theorem_1(size: float) -> None:
    bound_on_output = math.sqrt(24)  # 12 complex pixels of parts -1 or 1
    lambdas, inverse = [LAMBDA] * STEPS, [1 / LAMBDA] * STEPS
    theorem = 10 ** log10_theorem_1(STEPS, bound_on_output, SIGMA, inverse, lambdas)
    for seed in range(3):
        moved, by = change(Cliff(), seed, size)
        assert moved <= theorem * by
        assert moved <= bounded_output_change(by, bound_on_output, LAMBDA)


@pytest.mark.parametrize("size", [0.05, 1.0])
def test_no_measured_difference_exceeds_the_residual_bound(size: float) -> None:
    denoiser = Bounded(Cliff(), "residual", 0.1)
    rho = denoiser.radius(12)
    for seed in range(3):
        moved, by = change(denoiser, seed, size)
        assert moved <= residual_change(by, rho, 0.0, [LAMBDA] * STEPS)


def test_theorem_1_is_the_closed_form_and_vacuous_at_the_papers_sigma() -> None:
    norm, sigma, steps = 100.0, 0.01, 8
    q = 2 * norm / (math.sqrt(2 * math.pi) * sigma)
    closed = (1 - q**steps) / (1 - q) + q**steps
    found = log10_theorem_1(steps, norm, sigma, [1.0] * steps, [1.0] * steps)
    assert found == pytest.approx(math.log10(closed), rel=1e-9)
    assert found > 30
    assert log10_rs_e2e(norm, sigma) == pytest.approx(math.log10(q))
    assert log10_theorem_1(80, norm, sigma, [1.0] * 80, [1.0] * 80) > 300  # no overflow
    assert residual_change(0.1, 1.0, 0.0, [1.0] * 8) == pytest.approx(0.1 + 8 * (0.05 + 2))
    assert local_amplification([1.0, 1.0], [0.25, 0.25]) == pytest.approx(3.0)


def test_smoothing_a_jump_reaches_its_lipschitz_constant() -> None:
    """The bound is sharp: the smoothing of sign has the slope sqrt(2/pi) / sigma at 0."""
    step = 1e-4
    smoothed = math.erf(step / SIGMA / math.sqrt(2))
    assert smoothed / step == pytest.approx(smoothed_lipschitz(1.0, SIGMA), rel=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_theorem_1_is_reached(steps: int) -> None:
    """One pixel, one coil, the denoiser sign(x), smoothed exactly: near the jump the image moves by C_N, further away by less."""

    def image(y: float) -> float:
        x = y
        for _ in range(steps):
            x = (y + LAMBDA * math.erf(x / SIGMA / math.sqrt(2))) / (1 + LAMBDA)
        return x

    constant = 10 ** log10_theorem_1(steps, 1.0, SIGMA, [1 / (1 + LAMBDA)] * steps, [LAMBDA] * steps)
    assert image(1e-6) / 1e-6 == pytest.approx(constant, rel=1e-4)
    for delta in (0.01, 0.1, 1.0, 10.0):
        for start in (-1.0, 0.0, 0.3):
            assert abs(image(start + delta) - image(start)) <= constant * delta


def test_jacobian_norms_are_those_of_the_dense_matrix() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(5, 7, generator=generator)

    def function(x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(matrix @ x)

    at = 0.3 * torch.randn(7, generator=generator)
    dense = torch.autograd.functional.jacobian(function, at)
    along, across = torch.randn(7, generator=generator), torch.randn(5, generator=generator)
    assert torch.allclose(push(function, at, along), dense @ along, atol=1e-5)
    assert torch.allclose(pull(function, at, across), dense.T @ across, atol=1e-5)
    assert spectral_norm(function, at, 60, 0) == pytest.approx(float(torch.linalg.norm(dense, 2)), rel=1e-3)
    positive = matrix @ matrix.T
    apply = lambda x: (positive.to(torch.complex64) @ x[0, :, 0])[None, :, None]  # noqa: E731
    top = float(torch.linalg.eigvalsh(positive)[-1])
    assert inverse_norm(apply, torch.zeros(1, 5, 1), 60, 0) == pytest.approx(top, rel=1e-3)


def test_the_jacobian_of_a_network_is_its_largest_local_gain(scene: Scene) -> None:
    method = tiny("smug")
    norm = jacobian_norm(method, scene, 5, 0)
    allowed = ball(scene, "kspace", "l2", 1e-3)
    reached = []
    for seed in range(2):
        delta = allowed.random(torch.Generator().manual_seed(seed))
        moved = method.from_kspace(disturbed(scene, "kspace", delta), scene, 0)
        still = method.from_kspace(scene.kspace_bcyx, scene, 0)
        reached.append(l2_norm(moved - still) / l2_norm(delta))
    assert max(reached) < 1.05 * norm


@pytest.mark.parametrize("kind", ["clip", "tanh", "norm", "residual"])
def test_bounded_denoisers_keep_their_bound(kind: str) -> None:
    denoiser = randomised(network_config("modl"), 0, strength=30.0).regulariser.denoiser
    image = torch.randn(2, 2, 16, 12, generator=torch.Generator().manual_seed(0))
    bounded = Bounded(denoiser, kind, 0.5)
    output = bounded(image, torch.zeros(2))
    moved = output - image if kind == "residual" else output
    assert float(moved.square().sum([1, 2, 3]).sqrt().max()) <= bounded.radius(16 * 12) * (1 + 1e-5)
    loose = Bounded(denoiser, kind, 1e6)(image, torch.zeros(2))
    assert torch.allclose(loose, denoiser(image, torch.zeros(2)), rtol=1e-3, atol=1e-3)


def test_a_bound_job_reports_the_bounds_beside_what_is_measured(
    evaluation: EvaluationConfig, tmp_path: object
) -> None:
    axes = evaluation.axes.model_copy(
        update={"bounds": BoundAxis(iterations=4, strength=0.01, steps=8, slices=1)}
    )
    config = evaluation.model_copy(update={"axes": axes, "scan": SCAN})
    context = Context(config, tmp_path)  # type: ignore[arg-type]
    jobs = [job for job in plan_jobs(config) if job.probe.kind == "bounds"]
    assert {job.method.name for job in jobs} == {"modl", "smug"}
    (job,) = [job for job in jobs if job.method.name == "smug"]
    values = measure_bounds(job, context).values
    assert 0 < values["amplification_attack"] < 10 ** values["log10_local_bound"]
    assert values["amplification_attack"] > values["amplification_noise"]
    assert math.log10(values["amplification_attack"]) < values["log10_theorem_1"]
    assert values["inverse_norm_measured"] <= values["inverse_norm_bound"] * 1.001
    assert values["output_l2_attack"] > 0


def test_watched_outputs_are_those_of_every_call(scene: Scene) -> None:
    method = tiny("smug", samples=3)
    with watched(method) as seen:
        method.from_kspace(scene.kspace_bcyx, scene, 0)
    assert len(seen.output_l2) == 6
    assert len(seen.inputs) == 6
