"""Attack jobs: the worst perturbation that gradient ascent finds for a method, and what another method's does to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from torch import Tensor

from smug_recon.robustness.jobs.context import Context
from smug_recon.robustness.jobs.job import Job
from smug_recon.robustness.jobs.probes import Probe
from smug_recon.robustness.measures.attack import Effort, Objective, ascend, linear_effort
from smug_recon.robustness.measures.inputs import ball, disturbed
from smug_recon.robustness.measures.measure import Measured, drawn_seed, under
from smug_recon.robustness.methods.method import Method, reconstruct
from smug_recon.robustness.methods.network import NetworkMethod, unrolled_parts
from smug_recon.robustness.scenes.scene import Scene

IGNORED = {"kind", "perturbation", "source"}
"""Fields of a probe that do not decide the perturbation."""


def error_objective(method: Method, scene: Scene, domain: str) -> Objective:
    """Return ``mean |x(delta) - t|^2 / peak^2``, what an attack on the image as a whole maximises."""
    peak = scene.peak

    def value(delta: Tensor, seed: int) -> Tensor:
        error = (
            reconstruct(method, domain, disturbed(scene, domain, delta), scene, seed) - scene.target_byx
        ) / peak
        return (error.real.square() + error.imag.square()).mean()

    return value


def effort_of(probe: Probe, method: Method, seed: int) -> Effort:
    """Return the attack's effort against a method: methods without randomness need no expectation, linear ones no step length."""
    if method.linear:
        return linear_effort(probe.steps, probe.restarts)
    step = probe.step if probe.step is not None else 2.5 / max(1, probe.steps)
    effort = Effort(probe.steps, step, probe.restarts)
    if not method.stochastic:
        return effort
    return replace(effort, eot=probe.eot, seeds=(seed,) if probe.knows_seed else ())


@contextmanager
def gradients(method: Method, through: str) -> Iterator[None]:
    """Let gradients pass the conjugate gradients ``implicit``-ly (one more solve) or through their ``iterations``."""
    parts = unrolled_parts(method.network) if isinstance(method, NetworkMethod) else []
    before = [part.implicit for part in parts]
    for part in parts:
        part.implicit = through == "implicit"
    try:
        yield
    finally:
        for part, implicit in zip(parts, before, strict=True):
            part.implicit = implicit


def find(probe: Probe, method: Method, scene: Scene, seed: int, start_seed: int) -> Tensor:
    """Return the most damaging perturbation of a probe for a method.

    Args:
        seed: of the evaluation. start_seed: of the random starts.
    """
    allowed = ball(scene, probe.domain, probe.norm, float(probe.strength))
    objective = error_objective(method, scene, probe.domain)
    with gradients(method, probe.through):
        return ascend(objective, allowed, effort_of(probe, method, seed), start_seed)


def measure_attack(job: Job, context: Context) -> Measured:
    """Attack the method and measure it with the evaluation's own smoothing noise."""
    method, scene = context.method(job.method), context.scene(job.slice, job.scan)
    delta = find(job.probe, method, scene, context.seed, attack_seed(job, context))
    transferred = any(axis.transfer_from == method.name for axis in context.config.axes.attacks)
    if transferred:
        context.save_perturbation(_said(job, context, method.name), delta)
    return under(method, scene, job.probe.domain, delta, context)


def measure_transfer(job: Job, context: Context) -> Measured:
    """Measure a method under the perturbation that was found for another."""
    assert job.probe.source is not None
    source, scene = context.named(job.probe.source), context.scene(job.slice, job.scan)
    said = _said(job, context, source.name)
    delta = context.load_perturbation(said)
    if delta is None:
        delta = find(job.probe, source, scene, context.seed, attack_seed(job, context))
        context.save_perturbation(said, delta)
    return under(context.method(job.method), scene, job.probe.domain, delta, context)


def attack_seed(job: Job, context: Context) -> int:
    """Return the seed of an attack's random starts; a transferred attack is the very one made on its source."""
    label = job.probe.perturbation.replace("transfer", "pgd")
    own = replace(job, probe=job.probe.model_copy(update={"perturbation": label}))
    return drawn_seed(own, context.seed)


def perturbation_of(job: Job) -> str:
    """Return a name that attack and transfer jobs have in common if they are about the same perturbation; of one plan."""
    source = job.probe.source or job.method.name
    probe = job.probe.model_dump_json(exclude=IGNORED)
    return f"{source} {probe} {job.scan.model_dump_json()} {job.slice.name}"


def _said(job: Job, context: Context, name: str) -> str:
    """Return what decides a perturbation, as one text."""
    return json.dumps(
        [
            context.named(name).model,
            name,
            next(m for m in context.config.methods if m.name == name).model_dump(mode="json"),
            job.probe.model_dump(mode="json", exclude=IGNORED),
            job.scan.model_dump(mode="json"),
            job.slice.fingerprint,
            [context.config.seed, context.config.data.seed],
        ],
        sort_keys=True,
    )
