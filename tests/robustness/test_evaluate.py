"""The evaluation as a whole: resumable at any job, the same numbers in any order, and tables that follow from its slices."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from smug_recon.errors import ConfigurationError
from smug_recon.robustness.jobs.context import Context
from smug_recon.robustness.jobs.job import plan_jobs
from smug_recon.robustness.results.report import write_report
from smug_recon.robustness.results.rows import all_rows
from smug_recon.robustness.results.summary import Result
from smug_recon.robustness.running.doing import do
from smug_recon.robustness.running.evaluate import evaluate, tuned
from smug_recon.robustness.settings.axes import AttackAxis, Axes, NoiseAxis
from smug_recon.robustness.settings.evaluation import EvaluationConfig, load_evaluation
from smug_recon.robustness.settings.methods import MethodSettings

TIMED = {"seconds", "seconds_minus_modl"}


@pytest.fixture
def attacked(evaluation: EvaluationConfig) -> EvaluationConfig:
    axes = Axes(
        noise=NoiseAxis(strengths=(0.02,)),
        attacks=(
            AttackAxis(domain="kspace", strengths=(0.0, 0.01), steps=(2,), transfer_from="modl", eot=2),
            AttackAxis(domain="adjoint", norm="l2", strengths=(0.01,), steps=(2,), only=("modl",)),
        ),
        shifts={"acceleration": (2, 4), "contrast": ("T1w",)},
        unrolling_steps=(1, 3),
        input_scale=(1.0, 2.0),
        denoising=(0.01, 0.1),
    )
    return evaluation.model_copy(update={"axes": axes})


def numbers(config: EvaluationConfig, folder: Path) -> list[tuple[object, ...]]:
    rows = all_rows(plan_jobs(config), folder, config)
    return [
        (row.method, row.perturbation, row.strength, row.steps, row.slice, row.metric, row.value)
        for row in rows
        if row.metric not in TIMED
    ]


def find(results: list[Result], method: str, perturbation: str, strength: str, metric: str) -> Result:
    (one,) = [
        result
        for result in results
        if (result.method, result.perturbation, result.strength, result.metric)
        == (method, perturbation, strength, metric)
    ]
    return one


def test_numbers_do_not_depend_on_order_or_interruption(attacked: EvaluationConfig, tmp_path: Path) -> None:
    data = attacked.data.model_copy(update={"limit": 1})
    axes = attacked.axes.model_copy(
        update={
            "attacks": attacked.axes.attacks[:1],
            "shifts": {"acceleration": (2,)},
            "input_scale": (),
            "denoising": (),
        }
    )
    config = attacked.model_copy(update={"data": data, "axes": axes, "examples": 0})
    evaluate(config, tmp_path / "whole")
    jobs = plan_jobs(config)
    parts = tmp_path / "parts"
    for job in reversed(jobs[1::2]):  # as other workers would, each with a context of its own
        do(job, Context(config, parts), "x")
    done = {path: path.stat().st_mtime_ns for path in parts.glob("jobs/*/*.json")}
    assert len(done) == len(jobs[1::2])
    evaluate(config, parts)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert numbers(config, parts) == numbers(config, tmp_path / "whole")
    assert len(list(parts.glob("jobs/*/*.json"))) == len(jobs)


def test_the_report_holds_every_question(attacked: EvaluationConfig, tmp_path: Path) -> None:
    attacked = attacked.model_copy(update={"data": attacked.data.model_copy(update={"limit": 2})})
    jobs = evaluate(attacked, tmp_path).jobs
    results = write_report(attacked, jobs, tmp_path)
    clean = find(results, "smug", "clean", "0", "psnr_db")
    assert clean.n == 2
    assert clean.ci_low <= clean.mean <= clean.ci_high
    assert find(results, "smug", "clean", "0", "denoiser_calls").mean == 4  # two copies in each of two steps
    assert find(results, "modl", "clean", "0", "denoiser_calls").mean == 2
    label = "kspace-pgd-linf-eot2"
    assert find(results, "smug", label, "0", "loss_db").mean == pytest.approx(0, abs=1e-5)
    for method in ("modl", "smug", "cg-sense"):
        attack = find(results, method, label, "0.01", "loss_db")
        assert attack.mean > 0
        worst = find(results, method, "kspace-worst", "0.01", "psnr_db")
        assert worst.mean <= find(results, method, label, "0.01", "psnr_db").mean
    own = find(results, "cg-sense", label, "0.01", "psnr_db").mean
    assert find(results, "modl", label, "0.01", "cg_sense_worst_psnr_db").mean == pytest.approx(own)
    excess = find(results, "modl", label, "0.01", "excess_loss_db").mean
    lost, same = (
        find(results, "modl", label, "0.01", name).mean for name in ("loss_db", "cg_sense_same_loss_db")
    )
    assert excess == pytest.approx(lost - same)
    difference = find(results, "smug", "clean", "0", "psnr_db_minus_modl").mean
    assert difference == pytest.approx(clean.mean - find(results, "modl", "clean", "0", "psnr_db").mean)
    assert find(results, "smug", "input-scale", "1", "psnr_db").mean == pytest.approx(clean.mean, abs=1e-3)
    for strength in (0.01, 0.1):  # PSNR as in the paper: complex error against the peak of the target
        noisy = find(results, "modl", "denoising", f"{strength:g}", "noisy_psnr_db").mean
        assert noisy == pytest.approx(-10 * math.log10(2 * strength**2), abs=0.5)
    assert find(results, "smug", "shift-contrast", "T1w", "psnr_db").n == 2
    with (tmp_path / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert ",".join(table[0]) == (
        "method,model,data,perturbation,strength,steps,metric,mean,ci_low,ci_high,n,seed,commit"
    )
    with (tmp_path / "slices.csv").open() as file:
        values = [
            float(row["value"])
            for row in csv.DictReader(file)
            if (row["method"], row["perturbation"], row["metric"]) == ("smug", "clean", "psnr_db")
        ]
    assert math.fsum(values) / len(values) == pytest.approx(clean.mean, rel=1e-6)
    text = (tmp_path / "report.md").read_text()
    assert "## kspace-worst" in text
    assert "one (2), two (1)" in text
    for name in ("kspace-pgd-linf-eot2-psnr_db.png", "shift-acceleration-psnr_db.png"):
        assert (tmp_path / name).is_file()
        assert f"]({name})" in text


def test_a_changed_setting_repeats_what_it_touches_only(evaluation: EvaluationConfig) -> None:
    keys = {job.key: job.method.name for job in plan_jobs(evaluation)}
    methods = tuple(
        method.model_copy(update={"samples": 4}) if method.name == "smug" else method
        for method in evaluation.methods
    )
    changed = {job.key for job in plan_jobs(evaluation.model_copy(update={"methods": methods}))}
    assert {name for key, name in keys.items() if key not in changed} == {"smug"}


def test_the_regularisation_is_tuned_on_the_other_split(
    evaluation: EvaluationConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    auto = MethodSettings(name="cg-sense", kind="cg-sense", iterations=10)
    data = evaluation.data.model_copy(update={"tuning_slices": 1})
    config = evaluation.model_copy(update={"methods": (auto,), "data": data})
    found = tuned(config, tmp_path).linear.regularisation
    assert isinstance(found, float)
    assert 1e-4 <= found <= 1
    (line,) = (tmp_path / "tuned.txt").read_text().splitlines()
    (tmp_path / "tuned.txt").write_text("0.125\t" + line.partition("\t")[2] + "\n")
    assert tuned(config, tmp_path).linear.regularisation == 0.125  # found before, not tuned again
    assert "tuned on evaluated subjects" not in caplog.text
    other = config.model_copy(update={"data": data.model_copy(update={"tuning_split": "nobody's"})})
    tuned(other, tmp_path)
    assert "no split nobody's in held_out.h5: cg-sense is tuned on evaluated subjects" in caplog.text


def test_files_that_a_failing_disk_has_emptied_are_made_again(
    evaluation: EvaluationConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    axes = Axes(attacks=(AttackAxis(domain="kspace", strengths=(0.01,), steps=(1,), transfer_from="modl"),))
    data = evaluation.data.model_copy(update={"limit": 1})
    config = evaluation.model_copy(update={"axes": axes, "data": data, "examples": 0})
    evaluate(config, tmp_path)
    before = numbers(config, tmp_path)
    (perturbation,) = (tmp_path / "perturbations").iterdir()
    lost = next(job for job in plan_jobs(config) if job.probe.kind == "transfer")
    for path in (perturbation, lost.path(tmp_path)):
        path.write_bytes(b"")
    assert not evaluate(config, tmp_path).failures
    assert numbers(config, tmp_path) == before
    assert "holds no record" in caplog.text and perturbation.stat().st_size > 0


def test_missing_weights_are_one_clear_error(evaluation: EvaluationConfig, tmp_path: Path) -> None:
    gone = (
        *evaluation.methods,
        *(MethodSettings(name=n, weights=tmp_path / f"{n}.safetensors") for n in ("rs-e2e", "weighted")),
    )
    with pytest.raises(ConfigurationError, match=r"rs-e2e\.safetensors.*weighted\.safetensors.*train"):
        evaluate(evaluation.model_copy(update={"methods": gone}), tmp_path / "out")


@pytest.mark.parametrize(
    "text",
    [
        "name: x\n",
        "name: x\ndata: {slices: a.h5}\nmethods: [{name: modl, weights: a.safetensors}]\n",
        "name: x\ndata: {slices: a.h5}\nmethods: [{name: c, kind: cg-sense}]\nreference: modl\n",
        "name: x\ndata: {slices: a.h5}\nmethods: [{name: c, kind: cg-sense}]\naxes: {shifts: {speed: [1]}}\n",
        "name: x\ndata: {slices: a.h5}\nmethods: [{name: c, kind: cg-sense}]\naxes: {shifts: {noise: [0]}}\n",
    ],
)
def test_bad_configs_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match="evaluation config"):
        load_evaluation(tmp_path / "c.yaml")


def test_one_entry_may_stand_for_every_combination(evaluation: EvaluationConfig) -> None:
    content = evaluation.model_dump()
    content["methods"][-1]["vary"] = {"samples": [2, 4], "sampling": ["antithetic", "independent"]}
    names = [method.name for method in EvaluationConfig.model_validate(content).methods[3:]]
    assert names == [
        "smug-samples2-antithetic",
        "smug-samples2-independent",
        "smug-samples4-antithetic",
        "smug-samples4-independent",
    ]


def test_shipped_configs_load() -> None:
    folder = Path(__file__).parents[2] / "benchmarks" / "configs"
    for path in sorted(folder.glob("robustness*.yaml")):
        config = load_evaluation(path, limit=3)
        assert config.name == path.stem
        assert config.data.limit == 3
        assert all(method.weights is None or method.weights.is_absolute() for method in config.methods)
