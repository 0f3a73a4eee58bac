"""Planted lesions are where they are said to be, are found by their filter, and attackers hide or invent them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from smug_recon.physics import sense_forward
from smug_recon.robustness.jobs.context import Context
from smug_recon.robustness.jobs.job import plan_jobs
from smug_recon.robustness.measures.lesioned import measure_lesion
from smug_recon.robustness.measures.lesions import (
    gaussian_blob,
    largest_false,
    matched_filter,
    place,
    plant,
    recovered,
    response,
    tissue,
    visibility,
)
from smug_recon.robustness.measures.norms import l2_norm
from smug_recon.robustness.scenes.scene import Scene
from smug_recon.robustness.settings.axes import LesionAxis
from smug_recon.robustness.settings.evaluation import EvaluationConfig

SIZE = 1.0


def test_the_filter_answers_to_blobs_and_not_to_constants() -> None:
    for size in (1.0, 2.5):
        blob = gaussian_blob(size)
        image = torch.full((60, 60), 3.0)
        reach = blob.shape[0] // 2
        image[30 - reach : 31 + reach, 25 - reach : 26 + reach] += 0.2 * blob
        answers = response(image, size)
        assert float(answers[30, 25]) == pytest.approx(0.2, rel=1e-4)
        assert float(matched_filter(size).sum()) == pytest.approx(0, abs=1e-5)
        inner = answers[20:-20, 17:-17]
        assert float(inner.max()) == pytest.approx(0.2, rel=1e-3)


def test_a_planted_lesion_is_in_target_and_kspace_alike(scene: Scene) -> None:
    planted = plant(scene, 0.5, SIZE, 0)
    assert planted is not None
    with_lesion, lesion = planted
    y, x = lesion.place_yx
    assert bool(tissue(scene, SIZE)[y, x])
    assert int(lesion.image_byx[0].abs().argmax()) == y * scene.target_byx.shape[2] + x
    moved = with_lesion.kspace_bcyx - scene.kspace_bcyx
    assert torch.allclose(moved, sense_forward(lesion.image_byx, scene.maps_bcyx, scene.mask), atol=1e-6)
    brighter = with_lesion.target_byx.abs() - scene.target_byx.abs()
    assert float(brighter[0, y, x]) == pytest.approx(lesion.amplitude, rel=0.2)
    assert plant(scene, 0.5, SIZE, 0)[1].place_yx == lesion.place_yx  # type: ignore[index]
    assert {place(scene, SIZE, seed) for seed in range(8)} != {lesion.place_yx}


def test_contrast_is_recovered_in_full_by_the_truth_and_in_part_by_less(scene: Scene) -> None:
    planted = plant(scene, 0.3, SIZE, 0)
    assert planted is not None
    with_lesion, lesion = planted
    full, none = with_lesion.target_byx, scene.target_byx
    assert float(recovered(full, none, lesion)) == pytest.approx(1, rel=1e-4)
    assert float(recovered(none, none, lesion)) == 0
    assert float(recovered(none + 0.4 * lesion.image_byx, none, lesion)) == pytest.approx(0.4, rel=1e-4)
    inside = tissue(with_lesion, SIZE)
    assert float(visibility(full, lesion, inside)) > float(visibility(none, lesion, inside))
    assert float(largest_false(none, none, inside, SIZE)) == 0
    assert float(largest_false(full, none, inside, SIZE)) == pytest.approx(lesion.amplitude, rel=0.25)


def test_no_tissue_no_lesion(scene: Scene) -> None:
    assert place(scene, 40.0, 0) is None
    assert plant(scene, 0.3, 40.0, 0) is None


def test_attackers_hide_and_invent(evaluation: EvaluationConfig, tmp_path: Path) -> None:
    lesions = LesionAxis(contrasts=(0.3,), sizes_px=(SIZE,), strengths=(0.02,), steps=2)
    config = evaluation.model_copy(update={"axes": evaluation.axes.model_copy(update={"lesions": lesions})})
    context = Context(config, tmp_path)
    first = plan_jobs(config)[0].slice.name
    jobs = [job for job in plan_jobs(config) if job.probe.kind == "lesion" and job.slice.name == first]
    for name in ("modl", "cg-sense"):
        own = {
            (job.probe.aim, float(job.probe.strength), job.probe.lesion_contrast): measure_lesion(
                job, context
            ).values
            for job in jobs
            if job.method.name == name
        }
        assert len(own) == 4
        shown, hidden = own["error", 0.0, 0.3], own["hide", 0.02, 0.3]
        assert hidden["contrast_recovered"] < shown["contrast_recovered"]
        assert shown["visibility_target"] == hidden["visibility_target"]
        quiet, invented = own["error", 0.0, 0.0], own["invent", 0.02, 0.0]
        assert invented["false_blob_where_aimed"] > quiet["false_blob_where_aimed"]
        assert invented["largest_false_blob"] >= invented["false_blob_where_aimed"] * 0.999
    assert l2_norm(context.scene(jobs[0].slice, jobs[0].scan).target_byx) > 0
