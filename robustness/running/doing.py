"""Doing one job, in any process: the numbers hang on the job alone, never on who does it or what was done before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from smug_recon.robustness.jobs.context import Context
from smug_recon.robustness.jobs.job import Job, save
from smug_recon.robustness.measures.attacked import measure_attack, measure_transfer
from smug_recon.robustness.measures.bounded_jobs import measure_bounds
from smug_recon.robustness.measures.denoising import measure_denoising
from smug_recon.robustness.measures.images import keep_example
from smug_recon.robustness.measures.lesioned import measure_lesion
from smug_recon.robustness.measures.measure import (
    Measured,
    measure_clean,
    measure_noise,
    measure_scale,
    measure_steps,
)
from smug_recon.robustness.settings.evaluation import EvaluationConfig

MEASURES: dict[str, Callable[[Job, Context], Measured]] = {
    "clean": measure_clean,
    "noise": measure_noise,
    "attack": measure_attack,
    "transfer": measure_transfer,
    "unrolling-steps": measure_steps,
    "input-scale": measure_scale,
    "denoising": measure_denoising,
    "lesion": measure_lesion,
    "bounds": measure_bounds,
}
LONGEST_REASON = 500


@dataclass(frozen=True)
class Study:
    """What every process of an evaluation is told: the tuned config, where results go, the device, the commit that measures."""

    config: EvaluationConfig
    folder: Path
    device: str
    commit: str


@dataclass(frozen=True)
class Done:
    """The end of job ``number`` of the plan; ``reason`` says why it failed and is empty where it did not."""

    number: int
    reason: str = ""


@contextmanager
def exact(device: str) -> Iterator[None]:
    """Compute in full float32 and reproducibly: one CPU thread (sums depend on their number), no TF32 on a GPU."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    try:
        with flags:
            yield
    finally:
        torch.set_num_threads(threads)


def do(job: Job, context: Context, commit: str) -> dict[str, Any]:
    """Measure one job and keep its record."""
    with exact(context.device):
        measured = MEASURES[job.probe.kind](job, context)
    record = {
        "method": job.method.name,
        "model": context.method(job.method).model,
        "perturbation": job.probe.perturbation,
        "strength": job.probe.strength,
        "steps": job.probe.steps,
        "slice": job.slice.name,
        "subject": job.slice.subject,
        "seed": context.seed,
        "commit": commit,
        "device": context.device,
        "metrics": measured.values,
    }
    keep_example(job, context, measured)
    save(job, context.folder, record)
    return record


def attempt(number: int, job: Job, context: Context, commit: str) -> Done:
    """Do a job; whatever goes wrong in it is its own affair and comes back as the reason."""
    try:
        do(job, context, commit)
    except Exception as error:
        return Done(number, said(error))
    return Done(number)


def said(error: BaseException) -> str:
    """Return kind and text of an error on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
