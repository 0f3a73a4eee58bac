"""The denoiser alone: noisy images in, how clean do they come out?"""

from __future__ import annotations

import torch

from smug_recon.network.unrolling import to_channels, to_complex, weighted_mean
from smug_recon.robustness.jobs.context import Context
from smug_recon.robustness.jobs.job import Job
from smug_recon.robustness.measures.inputs import gaussian
from smug_recon.robustness.measures.measure import Measured, drawn_seed
from smug_recon.robustness.measures.metrics import scores
from smug_recon.robustness.methods.network import NetworkMethod, unrolled_parts
from smug_recon.training.psnr import psnr_db


@torch.no_grad()
def measure_denoising(job: Job, context: Context) -> Measured:
    """Metrics of one step's denoiser, smoothed as the method smooths it, on the target plus complex Gaussian noise.

    ``strength``: standard deviation of the noise on real and imaginary part, times the peak of the target. ``noisy_psnr_db``: of
    its input. The noise level that the denoiser is told is the scan's, as in a reconstruction.
    """
    method, scene = context.method(job.method), context.scene(job.slice, job.scan)
    assert isinstance(method, NetworkMethod)
    target = scene.target_byx
    noise = gaussian(scene, "adjoint", float(job.probe.strength), drawn_seed(job, context.seed))
    noisy = target + noise
    regulariser = unrolled_parts(method.network)[0].regulariser
    copies, weights = regulariser(to_channels(noisy), scene.level_b, context.seed, method.samples)
    image = to_complex(weighted_mean(copies, weights))
    return Measured(scores(image, target) | {"noisy_psnr_db": float(psnr_db(noisy, target))}, image)
