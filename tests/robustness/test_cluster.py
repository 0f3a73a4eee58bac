"""An evaluation on a Dask cluster leaves the very files of one process, whoever does what, dies or fails."""

from __future__ import annotations

import csv
import json
import logging
import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from typer.testing import CliRunner

from smug_recon.__main__ import app
from smug_recon.errors import ConfigurationError, OutputError
from smug_recon.robustness.jobs.job import Job, load, plan_jobs
from smug_recon.robustness.results.rows import all_rows
from smug_recon.robustness.results.summary import summarise, write_results
from smug_recon.robustness.running import cluster
from smug_recon.robustness.running.cluster import KEPT, KEPT_BYTES, connected, leaders, spread
from smug_recon.robustness.running.doing import Done, Study
from smug_recon.robustness.running.evaluate import evaluate
from smug_recon.robustness.running.worker import Answer, Place, perform, software
from smug_recon.robustness.settings.axes import AttackAxis, Axes, NoiseAxis
from smug_recon.robustness.settings.evaluation import EvaluationConfig

CancelledError = pytest.importorskip(
    "distributed", reason="needs Dask: pip install smug-recon[archive]"
).CancelledError


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Any]:
    """A client of two worker processes; their scheduler also plays that of a site."""
    with connected(2, None) as client:
        client.wait_for_workers(2, timeout=120)
        yield client


@pytest.fixture
def study(evaluation: EvaluationConfig) -> EvaluationConfig:
    axes = Axes(
        noise=NoiseAxis(domains=("kspace",), strengths=(0.02,)),
        attacks=(AttackAxis(domain="kspace", strengths=(0.01,), steps=(2,), transfer_from="modl", eot=2),),
        unrolling_steps=(1,),
    )
    data = evaluation.data.model_copy(update={"limit": 1})
    return evaluation.model_copy(update={"axes": axes, "data": data, "methods": evaluation.methods[1:]})


def test_a_worker_keeps_the_memory_that_it_frees_for_its_next_tensors(two_workers: Any) -> None:
    for name in KEPT:
        assert set(two_workers.run(os.getenv, name).values()) == {str(KEPT_BYTES)}, name


def left(config: EvaluationConfig, folder: Path) -> dict[str, bytes]:
    """Everything that an evaluation leaves, without commit and wall-clock time."""
    found = {}
    for path in [*folder.glob("jobs/*/*.json"), *folder.glob("perturbations/*"), *folder.glob("images/*")]:
        content = path.read_bytes()
        if path.suffix == ".json":
            record = json.loads(content)
            record["metrics"].pop("seconds", None)
            content = json.dumps({**record, "commit": ""}).encode()
            path.write_bytes(content)
        found[path.relative_to(folder).as_posix()] = content
    rows = all_rows(plan_jobs(config), folder, config)
    write_results(summarise(rows, config.seed, 20), folder / "results.csv")
    found["results.csv"] = (folder / "results.csv").read_bytes()
    return found


def test_a_cluster_leaves_the_files_of_one_process_though_a_worker_is_killed(
    study: EvaluationConfig, two_workers: Any, tmp_path: Path
) -> None:
    one, many = tmp_path / "one", tmp_path / "many"
    jobs = evaluate(study, one).jobs
    many.mkdir()
    ended = []
    for done in spread(two_workers, Study(study, many, "cpu", "x"), jobs, range(len(jobs))):
        if not ended:  # the workers are at other jobs now
            victim, *_ = two_workers.run(os.getpid).values()
            os.kill(victim, signal.SIGKILL)
        ended.append(done)
    assert sorted(done.number for done in ended) == list(range(len(jobs)))
    assert not any(done.reason for done in ended)
    first, second = left(study, one), left(study, many)
    assert len([name for name in first if name.startswith("jobs/")]) == len(jobs)
    assert any(name.startswith("perturbations/") for name in first)
    assert first.keys() == second.keys()
    assert [name for name, content in first.items() if content != second[name]] == []
    assert not list(many.glob(".shared-*"))
    two_workers.wait_for_workers(2, timeout=120)


@pytest.mark.parametrize("remote", [False, True])
def test_a_job_that_fails_is_booked_and_the_others_are_done(
    study: EvaluationConfig, two_workers: Any, tmp_path: Path, remote: bool
) -> None:
    jobs = plan_jobs(study)
    (tmp_path / "jobs").mkdir()
    hindered = next(job for job in jobs if job.probe.kind == "attack" and job.method.name == "modl")
    poisoned = hindered.path(tmp_path).parent
    poisoned.write_text("no folder can be made here")
    failing = {job.key for job in jobs if job.path(tmp_path).parent == poisoned}
    scheduler = two_workers.scheduler.address if remote else None
    done = evaluate(study, tmp_path, scheduler=scheduler)
    assert {failure.job.key for failure in done.failures} == failing
    assert sum(load(job, tmp_path) is not None for job in jobs if job.key not in failing) == len(jobs) - len(
        failing
    )
    with (tmp_path / "failed.csv").open() as file:
        booked = list(csv.DictReader(file))
    assert len(booked) == len(failing)
    assert any(
        row["method"] == "modl" and row["slice"] == hindered.slice.name and "File exists" in row["reason"]
        for row in booked
    )
    poisoned.unlink()
    assert not evaluate(study, tmp_path, scheduler=scheduler).failures
    assert not (tmp_path / "failed.csv").exists()


def test_the_command_ends_with_1_where_a_job_failed(evaluation: EvaluationConfig, tmp_path: Path) -> None:
    small = evaluation.model_copy(update={"methods": evaluation.methods[:2], "reference": None})
    content = small.model_dump(mode="json")
    content["data"]["limit"] = 1
    (tmp_path / "c.yaml").write_text(json.dumps(content))
    (tmp_path / "out" / "jobs").mkdir(parents=True)
    for job in plan_jobs(EvaluationConfig.model_validate(content))[:1]:
        job.path(tmp_path / "out").parent.write_text("")
    ran = CliRunner().invoke(app, ["evaluate", str(tmp_path / "c.yaml"), "-o", str(tmp_path / "out")])
    assert ran.exit_code == 1
    assert "1 of 2 jobs failed" in ran.output
    assert "failed.csv" in ran.output
    assert "1 of 2 jobs are done" in (tmp_path / "out" / "report.md").read_text()


def test_transfers_wait_for_the_attack_on_their_source(study: EvaluationConfig) -> None:
    jobs = plan_jobs(study.model_copy(update={"data": study.data.model_copy(update={"limit": 2})}))
    attacks = {
        job.slice.name: number
        for number, job in enumerate(jobs)
        if job.probe.kind == "attack" and job.method.name == "modl"
    }
    transfers = [number for number, job in enumerate(jobs) if job.probe.kind == "transfer"]
    everything = leaders(jobs, range(len(jobs)))
    assert everything == {number: attacks[jobs[number].slice.name] for number in transfers}
    without = leaders(jobs, transfers)
    assert set(without) | set(without.values()) == set(transfers)
    assert len(set(without.values())) == 2  # of each slice the first finds it, the others wait


def test_a_worker_that_sees_something_else_ends_the_evaluation(
    study: EvaluationConfig, two_workers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = plan_jobs(study)
    here = Study(study, tmp_path, "cpu", "x")
    (tmp_path / "token").touch()
    place = Place("token", software())

    def found(changed: Study = here, key: str = jobs[0].key, at: Place = place) -> str:
        misfit = perform(changed, 0, key, at).misfit
        assert misfit is not None
        return misfit[0]

    assert "no folder" in found(replace(here, folder=tmp_path / "elsewhere"))
    assert "another plan" in found(key="0" * 24)
    assert "torch" in found(at=Place("token", "torch 1.0"))
    absent = study.data.model_copy(update={"slices": tmp_path / "absent.h5"})
    assert "absent.h5" in found(replace(here, config=study.model_copy(update={"data": absent})))
    assert not list(tmp_path.glob("jobs"))

    other: list[Job] = [replace(jobs[0], key="0" * 24)]
    with pytest.raises(ConfigurationError, match="on a worker another plan"):
        list(spread(two_workers, here, other, [0]))
    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    with pytest.raises(ConfigurationError, match="no Dask scheduler"):
        evaluate(study, tmp_path, scheduler="tcp://127.0.0.1:9")


class Fickle:
    """A client whose every job ends a given number of times as ``how`` before its answer can be fetched."""

    def __init__(self, how: str, times: int) -> None:
        self.how, self.times, self.asked = how, times, Counter[int]()

    def submit(self, function: Any, study: Study, number: int, *others: Any, key: str, priority: int) -> Any:
        self.asked[number] += 1
        return self.Ending(key, number, self.how if self.asked[number] <= self.times else "finished")

    class Ending:
        def __init__(self, key: str, number: int, how: str) -> None:
            self.key, self.number, self.how = key, number, how
            self.status = "finished" if how in ("slow", "cut") else how

        def add_done_callback(self, callback: Any) -> None:
            callback(self)

        def result(self, timeout: float) -> Answer:
            if self.how == "slow":
                raise TimeoutError
            if self.how == "cut":
                self.status = "cancelled"
                raise CancelledError
            return Answer(Done(self.number), None, cluster.cpu())


@pytest.mark.parametrize("how", ["lost", "pending", "slow"])
def test_an_answer_that_dies_with_its_worker_is_asked_for_again(
    study: EvaluationConfig, tmp_path: Path, how: str
) -> None:
    jobs, client = plan_jobs(study), Fickle(how, 2)
    ended = [
        done.number for done in spread(client, Study(study, tmp_path, "cpu", "x"), jobs, range(len(jobs)))
    ]
    assert sorted(ended) == list(range(len(jobs)))
    assert set(client.asked.values()) == {3}


@pytest.mark.parametrize("how", ["cancelled", "cut"])
def test_a_scheduler_that_drops_a_job_ends_the_evaluation(
    study: EvaluationConfig, tmp_path: Path, how: str
) -> None:
    with pytest.raises(OutputError, match="dropped"):
        list(spread(Fickle(how, 1), Study(study, tmp_path, "cpu", "x"), plan_jobs(study), [0]))


def test_without_any_worker_it_is_said_and_then_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Deserted:
        looked = 0

        def nthreads(self) -> dict[str, int]:
            self.looked += 1
            return {"tcp://127.0.0.1:1": 1} if self.looked == 1 else {}

    caplog.set_level(logging.WARNING)  # a Dask cluster before this test may have left the handlers silent
    monkeypatch.setattr(cluster, "LOOK_S", 0.01)
    client, ended = Deserted(), SimpleQueue[str]()
    with pytest.raises(OutputError, match="all have died"):
        cluster.next_end(ended, client, 0.05)
    assert client.looked > 2
    assert caplog.text.count("has no worker") == 1
    ended.put("a job")
    assert cluster.next_end(ended, client, 0.0) == "a job"
