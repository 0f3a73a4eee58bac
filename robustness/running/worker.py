"""One job in a worker of a Dask cluster, which first makes sure that it sees the files and the software of the client."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import torch

from smug_recon.robustness.jobs.context import Context
from smug_recon.robustness.jobs.job import Job, load, plan_jobs
from smug_recon.robustness.running.doing import Done, Study, attempt, said


@dataclass(frozen=True)
class Place:
    """How a worker knows that it is in the right place: a file of the results' folder, and the software of the client."""

    token: str
    software: str


@dataclass(frozen=True)
class Answer:
    """What a worker says of a job: how it ended, or why it cannot do any job (``found``, ``expected``, ``remedy``); its CPU."""

    done: Done
    misfit: tuple[str, str, str] | None
    cpu: str


def software() -> str:
    """Return the versions that numbers may hang on."""
    return f"torch {torch.__version__}, numpy {np.__version__}"


def cpu() -> str:
    """Return the instructions that torch computes with here: sums round alike where they are the same."""
    return str(torch.backends.cpu.get_cpu_capability())


_LOCK = threading.Lock()
_STUDIES: dict[str, tuple[Context, list[Job]]] = {}


def perform(study: Study, number: int, key: str, place: Place) -> Answer:
    """Do job ``number`` in a worker; one at a time, whatever its threads: methods are switched while they are measured."""
    with _LOCK:
        misfit = _misfit(study, number, key, place)
        if misfit is not None:
            return Answer(Done(number), misfit, cpu())
        context, jobs = _known(study)
        if (
            load(jobs[number], study.folder) is not None
        ):  # done by a worker that was lost before it could say so
            return Answer(Done(number), None, cpu())
        return Answer(attempt(number, jobs[number], context, study.commit), None, cpu())


def _known(study: Study) -> tuple[Context, list[Job]]:
    """Return methods and plan of a study; they stay between the jobs of a process."""
    name = f"{study.config.model_dump_json()} {study.folder} {study.device}"
    if name not in _STUDIES:
        _STUDIES.clear()
        _STUDIES[name] = (Context(study.config, study.folder, study.device), plan_jobs(study.config))
    return _STUDIES[name]


def _misfit(study: Study, number: int, key: str, place: Place) -> tuple[str, str, str] | None:
    if place.software != software():
        return software(), place.software, "install the same versions on all workers"
    if not (study.folder / place.token).is_file():
        return (
            f"no folder {study.folder} of this evaluation",
            "a file system that all workers share",
            "give -o a path that client and workers have in common",
        )
    try:
        _, jobs = _known(study)
    except Exception as error:
        return said(error), "slices and weights as on the client", "put them where all workers see them"
    if number >= len(jobs) or jobs[number].key != key:
        return (
            "another plan: slices, weights or the version of smug-recon differ",
            "those of the client",
            "put the same files and the same version on all workers",
        )
    return None
