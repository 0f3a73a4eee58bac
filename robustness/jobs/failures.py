"""Jobs that failed, with their reasons: ``failed.csv``, there as long as something has failed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smug_recon.robustness.jobs.job import Job, write_whole

FIELDS = ("method", "perturbation", "strength", "steps", "slice", "reason")


@dataclass(frozen=True)
class Failure:
    """A job and why it could not be done."""

    job: Job
    reason: str


def write_failures(failures: Sequence[Failure], folder: Path) -> None:
    """Write ``failed.csv``, or remove the one of an earlier call where nothing has failed in this one."""
    path = folder / "failed.csv"
    if not failures:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(FIELDS)
    for failure in failures:
        job, probe = failure.job, failure.job.probe
        writer.writerow(
            [job.method.name, probe.perturbation, probe.strength, probe.steps, job.slice.name, failure.reason]
        )
    write_whole(path, text.getvalue().encode())
