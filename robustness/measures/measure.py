"""One job, measured: clean and shifted slices, noise, steps, scale. Attacks, lesions and bounds have files of their own."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from smug_recon.robustness.jobs.context import Context
from smug_recon.robustness.jobs.job import Job
from smug_recon.robustness.measures.inputs import clean, disturbed, gaussian
from smug_recon.robustness.measures.metrics import scores
from smug_recon.robustness.measures.norms import l2_norm, linf_norm
from smug_recon.robustness.methods.method import Method, reconstruct
from smug_recon.robustness.methods.network import NetworkMethod, overheard
from smug_recon.robustness.scenes.scene import Scene
from smug_recon.training.psnr import psnr_db


@dataclass(frozen=True)
class Measured:
    """The numbers of a job by name, and the image where there is one worth showing."""

    values: dict[str, float]
    image_byx: Tensor | None = None


def drawn_seed(job: Job, seed: int) -> int:
    """Return the seed of a job's noise or random starts: the same for every method, another for every slice and strength."""
    said = f"{seed}/{job.slice.name}/{job.probe.perturbation}/{job.probe.strength}"
    return zlib.crc32(said.encode())


@contextmanager
def counted(method: Method) -> Iterator[list[int]]:
    """Count the images that pass through the denoiser while the context is open; the only element of the list."""
    count = [0]

    def heard(image_byx: Tensor, output_byx: Tensor) -> None:
        count[0] += image_byx.shape[0]

    with overheard(method, heard):
        yield count


@torch.no_grad()
def measure_clean(job: Job, context: Context) -> Measured:
    """Metrics on the data as they are; wall-clock seconds and denoiser calls of the slice."""
    method, scene = context.method(job.method), context.scene(job.slice, job.scan)
    with counted(method) as calls:
        began = time.perf_counter()
        image = method.from_kspace(scene.kspace_bcyx, scene, context.seed)
        if image.is_cuda:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - began
    values = scores(image, scene.target_byx) | {"seconds": seconds, "denoiser_calls": float(calls[0])}
    return Measured(values, image)


@torch.no_grad()
def measure_noise(job: Job, context: Context) -> Measured:
    """Metrics under Gaussian noise."""
    scene, domain = context.scene(job.slice, job.scan), job.probe.domain
    delta = gaussian(scene, domain, float(job.probe.strength), drawn_seed(job, context.seed))
    return under(context.method(job.method), scene, domain, delta, context)


@torch.no_grad()
def under(method: Method, scene: Scene, domain: str, delta: Tensor, context: Context) -> Measured:
    """Metrics under a perturbation, CG-SENSE under the same one, and the perturbation's size."""
    data = disturbed(scene, domain, delta)
    image = reconstruct(method, domain, data, scene, context.seed)
    linear = reconstruct(context.linear, domain, data, scene, context.seed)
    return Measured(
        scores(image, scene.target_byx)
        | {
            "cg_sense_same_psnr_db": float(psnr_db(linear, scene.target_byx)),
            "perturbation_l2": l2_norm(delta),
            "perturbation_linf": linf_norm(delta),
            "perturbation_relative": l2_norm(delta) / l2_norm(clean(scene, domain)),
        },
        image,
    )


@torch.no_grad()
def measure_steps(job: Job, context: Context) -> Measured:
    """Metrics with another number of unrolling steps."""
    method, scene = context.method(job.method), context.scene(job.slice, job.scan)
    assert isinstance(method, NetworkMethod)
    other = method.with_steps(int(job.probe.strength))
    image = other.from_kspace(scene.kspace_bcyx, scene, context.seed)
    return Measured(scores(image, scene.target_byx), image)


@torch.no_grad()
def measure_scale(job: Job, context: Context) -> Measured:
    """Metrics where the normalisation of the input is wrong by a factor."""
    method, scene = context.method(job.method), context.scene(job.slice, job.scan)
    assert isinstance(method, NetworkMethod)
    image = method.misscaled(scene, float(job.probe.strength), context.seed)
    return Measured(scores(image, scene.target_byx), image)
