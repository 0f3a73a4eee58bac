"""Evaluation on somebody's own slices: other splits, contrasts and sizes, and what they do not have is said."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_networks import SCAN

from smug_recon.robustness.jobs.job import plan_jobs, unfulfilled
from smug_recon.robustness.results.report import write_report
from smug_recon.robustness.running.evaluate import evaluate
from smug_recon.robustness.scenes.scene import data_name, held_out
from smug_recon.robustness.settings.axes import Axes
from smug_recon.robustness.settings.evaluation import EvaluationConfig


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """One subject: a volume of another split, a dark slice in it, an odd size; no attribute but the split."""
    path = tmp_path / "others.h5"
    y, x = np.mgrid[-1:1:53j, -1:1:41j]
    head = (3500 * ((y / 0.8) ** 2 + (x / 0.7) ** 2 < 1)).astype(np.uint16)
    with h5py.File(path, "w") as file:
        group = file.create_group("stranger/PDw_sagittal")
        group["slices"] = np.stack([head, 0 * head, head, head])
        group.attrs["split"] = "hidden"
    return path


def test_what_no_slice_has_is_said_and_the_rest_measured(
    evaluation: EvaluationConfig, others: Path, tmp_path: Path
) -> None:
    shifts = {"contrast": ("T1w", "unknown"), "orientation": ("axial", "sagittal"), "acceleration": (2,)}
    data = evaluation.data.model_copy(update={"slices": others, "limit": 1})
    config = evaluation.model_copy(
        update={
            "data": data,
            "axes": Axes(shifts=shifts),
            "methods": evaluation.methods[:2],
            "reference": None,
        }
    )
    assert unfulfilled(config, plan_jobs(config)) == ["shift-contrast T1w", "shift-orientation axial"]
    done = evaluate(config, tmp_path / "out")
    results = write_report(config, done.jobs, tmp_path / "out")
    assert not done.failures
    measured = {(result.perturbation, result.strength) for result in results}
    assert {("shift-contrast", "unknown"), ("shift-orientation", "sagittal"), ("clean", "0")} <= measured
    assert {result.data for result in results} == {"others:whole"}
    report = (tmp_path / "out" / "report.md").read_text()
    assert (
        "Not measured, since no slice is of that kind: shift-contrast T1w, shift-orientation axial." in report
    )
    assert "One subject" in report and "others:whole: subjects (slices) stranger (1)" in report


def test_dark_slices_are_not_evaluated(evaluation: EvaluationConfig, others: Path) -> None:
    data = evaluation.data.model_copy(update={"slices": others, "per_subject": 8})
    names = [slice_.name for slice_ in held_out(data, SCAN)]
    assert names == [f"stranger/PDw_sagittal/{number}" for number in (0, 2, 3)]
    assert data_name(data) == "others:whole" and data_name(evaluation.data) == evaluation.data.name
