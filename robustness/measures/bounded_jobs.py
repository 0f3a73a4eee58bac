"""Bound jobs: Theorem 1 with the numbers of a trained network, what can be said instead, and what is measured."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from smug_recon.network.end_to_end import RsE2E
from smug_recon.network.smoothing import Smoothed
from smug_recon.physics.cg import conjugate_gradient
from smug_recon.robustness.jobs.context import Context
from smug_recon.robustness.jobs.job import Job
from smug_recon.robustness.measures.amplification import inverse_norm, spectral_norm
from smug_recon.robustness.measures.attack import ascend
from smug_recon.robustness.measures.attacked import effort_of, find, gradients
from smug_recon.robustness.measures.bounds import (
    bounded_output_change,
    local_amplification,
    log10_rs_e2e,
    log10_theorem_1,
    residual_change,
)
from smug_recon.robustness.measures.inputs import ball, disturbed, gaussian
from smug_recon.robustness.measures.measure import Measured, drawn_seed
from smug_recon.robustness.measures.norms import l2_norm
from smug_recon.robustness.measures.outputs import Outputs, watched
from smug_recon.robustness.methods.network import NetworkMethod, denoisers
from smug_recon.robustness.scenes.scene import Scene


def measure_bounds(job: Job, context: Context) -> Measured:
    """Norms of the denoiser's outputs (clean, noisy, attacked), bounds, and measured amplifications of one slice."""
    method, scene = context.method(job.method), context.scene(job.slice, job.scan)
    assert isinstance(method, NetworkMethod)
    seed, start = context.seed, drawn_seed(job, context.seed)
    change = find(job.probe, method, scene, seed, start)
    noise = gaussian(scene, "kspace", float(job.probe.strength), start)
    values: dict[str, float] = {}
    images: dict[str, Tensor] = {}
    norms: dict[str, Outputs] = {}
    with torch.no_grad():
        for condition, delta in (("clean", 0 * change), ("noise", noise), ("attack", change)):
            with watched(method) as seen:
                images[condition] = method.from_kspace(disturbed(scene, "kspace", delta), scene, seed)
            norms[condition] = seen
            values |= seen.summary(condition)
    values["image_l2"] = l2_norm(images["clean"])
    values["amplification_error_attack"] = l2_norm(images["attack"] - images["clean"]) / l2_norm(change)
    values["amplification_noise"] = l2_norm(images["noise"] - images["clean"]) / l2_norm(noise)
    moved = _largest_move(job, method, scene, images["clean"], seed, start)
    values["amplification_attack"] = moved / float(
        ball(scene, "kspace", "l2", float(job.probe.strength)).radius_b
    )
    values["jacobian_norm"] = jacobian_norm(method, scene, job.probe.iterations, seed)
    values |= _bounds(method, scene, norms, l2_norm(change), values["image_l2"], job.probe.iterations)
    values["residual_bound_over_image"] = values["residual_bound"] / values["image_l2"]
    values["bounded_output_over_image"] = values["bounded_output"] / values["image_l2"]
    return Measured(values)


def _largest_move(
    job: Job, method: NetworkMethod, scene: Scene, clean_byx: Tensor, seed: int, start: int
) -> float:
    """Attack the distance to the method's own clean image, and return the distance reached with the evaluated seed."""
    allowed = ball(scene, "kspace", "l2", float(job.probe.strength))

    def distance(delta: Tensor, own_seed: int) -> Tensor:
        moved = method.from_kspace(disturbed(scene, "kspace", delta), scene, own_seed) - clean_byx
        return (moved.real.square() + moved.imag.square()).sum()

    effort = effort_of(job.probe.model_copy(update={"knows_seed": True}), method, seed)
    delta = ascend(distance, allowed, effort, start)
    with torch.no_grad():
        return float(distance(delta, seed)) ** 0.5


def jacobian_norm(method: NetworkMethod, scene: Scene, iterations: int, seed: int) -> float:
    """Return the spectral norm of k-space to image at a scene, through the iterations of the conjugate gradients."""
    with gradients(method, "iterations"):
        allowed = ball(scene, "kspace", "l2", 1.0).support

        def function(delta: Tensor) -> Tensor:
            return method.from_kspace(disturbed(scene, "kspace", delta), scene, seed)

        return spectral_norm(function, torch.zeros_like(scene.kspace_bcyx), iterations, 0, allowed)


def _bounds(
    method: NetworkMethod,
    scene: Scene,
    norms: dict[str, Outputs],
    change: float,
    image: float,
    iterations: int,
) -> dict[str, float]:
    network = method.network
    level = scene.level_b
    lambdas = [float(network.lambda_at(step, level)) for step in range(network.steps)]
    output = max(max(seen.output_l2) for seen in norms.values())
    residual = max(max(seen.residual_l2) for seen in norms.values())
    sigmas = [module.sigma for module in network.modules() if isinstance(module, RsE2E | Smoothed)]
    sigma = max(sigmas, default=0.0)
    values = {
        "lambda_smallest": min(lambdas),
        "inverse_norm_measured": _inverse_norm(scene, min(lambdas), iterations),
        "inverse_norm_bound": 1 / min(lambdas),
        "bounded_output": bounded_output_change(change, output, lambdas[-1]),
        "residual_bound": residual_change(change, residual, sigma if method.stochastic else 0.0, lambdas),
    }
    if isinstance(network, RsE2E):
        values["log10_rs_e2e"] = log10_rs_e2e(image, sigma) if network.noisy_kspace else math.inf
    elif sigma > 0:
        inverse = [1 / weight for weight in lambdas]
        values["log10_theorem_1"] = log10_theorem_1(network.steps, output, sigma, inverse, lambdas)
    slopes = _denoiser_slopes(method, scene, norms["clean"].inputs, iterations)
    values["denoiser_lipschitz_local"] = max(slopes)
    values["log10_local_bound"] = math.log10(local_amplification(slopes, lambdas))
    return values


def _inverse_norm(scene: Scene, weight: float, iterations: int) -> float:
    weight_b = torch.full([1], weight, device=scene.target_byx.device)

    def inverse(image_byx: Tensor) -> Tensor:
        return conjugate_gradient(
            image_byx, torch.zeros_like(image_byx), scene.maps_bcyx, scene.mask, weight_b, 60, 1e-6
        )

    with torch.no_grad():
        return inverse_norm(inverse, scene.target_byx, iterations, 0)


def _denoiser_slopes(
    method: NetworkMethod, scene: Scene, inputs: list[Tensor], iterations: int
) -> list[float]:
    """Spectral norm of the denoiser's Jacobian at the input of every step (of the first copy, where there are several)."""
    (denoiser,) = denoisers(method)[:1]
    steps = method.network.steps
    every = (
        1 if isinstance(method.network, RsE2E) else max(1, len(inputs) // steps)
    )  # copies by copies, or by steps
    return [
        spectral_norm(lambda x: denoiser(x, scene.level_b), image, iterations, 0)
        for image in inputs[::every][:steps]
    ]
