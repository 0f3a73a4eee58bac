"""Lesion jobs: contrast and visibility of a planted lesion, clean and attacked, and the largest one invented."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from smug_recon.robustness.jobs.context import Context
from smug_recon.robustness.jobs.job import Job
from smug_recon.robustness.measures.attack import Objective, ascend
from smug_recon.robustness.measures.attacked import effort_of
from smug_recon.robustness.measures.inputs import ball, disturbed
from smug_recon.robustness.measures.lesions import (
    Lesion,
    largest_false,
    place,
    plant,
    recovered,
    response,
    tissue,
    visibility,
)
from smug_recon.robustness.measures.measure import Measured, drawn_seed
from smug_recon.robustness.methods.method import Method
from smug_recon.robustness.scenes.scene import Scene
from smug_recon.training.psnr import psnr_db


def hide_objective(method: Method, scene: Scene, lesion: Lesion) -> Objective:
    """Return the negative projection of the image on the lesion: attackers who maximise it wipe the lesion out."""
    shape = lesion.image_byx / lesion.image_byx.abs().square().sum()

    def value(delta: Tensor, seed: int) -> Tensor:
        image = method.from_kspace(disturbed(scene, "kspace", delta), scene, seed)
        return -(image * shape.conj()).real.sum()

    return value


def invent_objective(method: Method, scene: Scene, place_yx: tuple[int, int], size_px: float) -> Objective:
    """Return the matched filter's answer at a place without lesion: attackers who maximise it paint one there."""

    def value(delta: Tensor, seed: int) -> Tensor:
        image = method.from_kspace(disturbed(scene, "kspace", delta), scene, seed)
        return response(image[0].abs(), size_px)[place_yx[0], place_yx[1]]

    return value


def measure_lesion(job: Job, context: Context) -> Measured:
    """Measure a planted lesion (``aim`` error or hide, with a contrast) or hallucination (contrast 0)."""
    if job.probe.lesion_contrast == 0:
        return _measure_invented(job, context)
    return _measure_planted(job, context)


def _perturbation(job: Job, context: Context, method: Method, scene: Scene, objective: Objective) -> Tensor:
    allowed = ball(scene, "kspace", "linf", float(job.probe.strength))
    effort = effort_of(job.probe, method, context.seed)
    return ascend(objective, allowed, effort, drawn_seed(job, context.seed))


def _place_seed(job: Job, context: Context) -> int:
    """The same place for every strength and aim, clean and attacked."""
    still = job.probe.model_copy(update={"perturbation": "lesion", "strength": 0.0})
    return drawn_seed(replace(job, probe=still), context.seed)


def _measure_planted(job: Job, context: Context) -> Measured:
    method, bare = context.method(job.method), context.scene(job.slice, job.scan)
    planted = plant(bare, job.probe.lesion_contrast, job.probe.lesion_size_px, _place_seed(job, context))
    if planted is None:
        return Measured({"contrast_recovered": math.nan})
    scene, lesion = planted
    delta = _perturbation(job, context, method, scene, hide_objective(method, scene, lesion))
    with torch.no_grad():
        image = method.from_kspace(disturbed(scene, "kspace", delta), scene, context.seed)
        without = method.from_kspace(bare.kspace_bcyx, bare, context.seed)
        linear_with = context.linear.from_kspace(disturbed(scene, "kspace", delta), scene, context.seed)
        linear_without = context.linear.from_kspace(bare.kspace_bcyx, bare, context.seed)
        inside = tissue(scene, lesion.size_px)
        values = {
            "contrast_recovered": recovered(image, without, lesion),
            "cg_sense_same_contrast_recovered": recovered(linear_with, linear_without, lesion),
            "visibility": visibility(image, lesion, inside),
            "visibility_target": visibility(scene.target_byx, lesion, inside),
            "psnr_db": psnr_db(image, scene.target_byx),
        }
    return Measured({name: float(value) for name, value in values.items()}, image)


def _measure_invented(job: Job, context: Context) -> Measured:
    method, scene = context.method(job.method), context.scene(job.slice, job.scan)
    size = job.probe.lesion_size_px
    found = place(scene, size, _place_seed(job, context))
    if found is None:
        return Measured({"largest_false_blob": math.nan})
    delta = _perturbation(job, context, method, scene, invent_objective(method, scene, found, size))
    with torch.no_grad():
        data = disturbed(scene, "kspace", delta)
        image = method.from_kspace(data, scene, context.seed)
        linear = context.linear.from_kspace(data, scene, context.seed)
        inside = tissue(scene, size)
        at = response(image[0].abs() - scene.target_byx[0].abs(), size)[found[0], found[1]]
        values = {
            "largest_false_blob": largest_false(image, scene.target_byx, inside, size) / scene.peak,
            "cg_sense_same_largest_false_blob": largest_false(linear, scene.target_byx, inside, size)
            / scene.peak,
            "false_blob_where_aimed": at / scene.peak,
            "psnr_db": psnr_db(image, scene.target_byx),
        }
    return Measured({name: float(value) for name, value in values.items()}, image)
