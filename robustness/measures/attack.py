"""Projected gradient ascent (Madry 2018, arXiv 1706.06083), averaged over smoothing noise (Athalye 2018, arXiv 1802.00420).

    delta <- project(delta + step * ascent(mean over seeds of grad objective(delta, seed)))

Linear methods have a convex objective, for which going all the way in every step never loses (power iteration).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from smug_recon.training.ball import Ball

Objective = Callable[[Tensor, int], Tensor]
FIRST_SEED = 1_000_000  # attacks draw their smoothing noise from here on; evaluation seeds lie below


@dataclass(frozen=True)
class Effort:
    """How hard an attack tries.

    Args:
        steps: gradient steps. step: length relative to the radius. restarts: random starts. eot: seeds averaged in each step
            (1 for methods without randomness). seeds: the only seeds used, where the attacker knows the evaluated one.
    """

    steps: int
    step: float
    restarts: int = 1
    eot: int = 1
    seeds: tuple[int, ...] = ()


def mean_gradient(objective: Objective, delta: Tensor, seeds: Sequence[int]) -> tuple[float, Tensor]:
    """Return value and gradient of the objective's mean over the seeds."""
    total, gradient = 0.0, torch.zeros_like(delta)
    for seed in seeds:
        variable = delta.detach().requires_grad_(True)
        with torch.enable_grad():
            value = objective(variable, seed)
            (part,) = torch.autograd.grad(value, variable)
        total += float(value.detach())
        gradient += part
    return total / len(seeds), gradient / len(seeds)


def mean_value(objective: Objective, delta: Tensor, seeds: Sequence[int]) -> float:
    """Return the objective's mean over the seeds."""
    with torch.no_grad():
        return sum(float(objective(delta, seed)) for seed in seeds) / len(seeds)


def ascend(
    objective: Objective, ball: Ball, effort: Effort, seed: int, start: Tensor | None = None
) -> Tensor:
    """Return the most damaging perturbation found in the ball.

    Each restart keeps its start, its best iterate and its last; all are compared on one common set of seeds that no step used
    (unless the attacker knows the seed), so the result is at least as damaging as every start.

    Args:
        objective: what to maximise, of perturbation and smoothing seed. ball: where to stay. effort: how hard it
            tries. seed: of the starts.
        start: of the first restart; by default random like the others.
    """
    if not ball.radius_b.any():
        return torch.zeros(ball.support.shape, dtype=torch.complex64, device=ball.support.device)
    generator = torch.Generator(device="cpu").manual_seed(seed)
    candidates: list[Tensor] = []
    for restart in range(effort.restarts):
        drawn = ball.random(generator)
        delta = ball.project(start) if start is not None and restart == 0 else drawn
        candidates.append(delta)
        best, best_value = delta, -torch.inf
        for number in range(effort.steps):
            seeds = effort.seeds or seeds_of(effort, 1 + restart * effort.steps + number)
            value, gradient = mean_gradient(objective, delta, seeds)
            if value > best_value:
                best, best_value = delta, value
            delta = ball.step(delta, gradient, effort.step)
        candidates += [best, delta]
    judged = effort.seeds or seeds_of(effort, 0)
    return max(candidates, key=lambda delta: mean_value(objective, delta, judged))


def seeds_of(effort: Effort, number: int) -> tuple[int, ...]:
    """Return the seeds of one step."""
    return tuple(FIRST_SEED + number * effort.eot + place for place in range(effort.eot))


def linear_effort(steps: int, restarts: int = 1) -> Effort:
    """Return the effort against a linear method: a step so long that the projection lands where the gradient alone points."""
    return Effort(steps=steps, step=1e3, restarts=restarts)
