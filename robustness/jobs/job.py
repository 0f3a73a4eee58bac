"""One job is one method under one probe on one slice: the unit that is done whole or not at all.

A finished job is one small JSON file, written and renamed. Its name is a hash of everything that decides its numbers, so a changed
config repeats what the change touches and nothing else; jobs know nothing of each other and may run anywhere in any order.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smug_recon.robustness.jobs.probes import Probe, probes
from smug_recon.robustness.scenes.scene import AnySlice, fitting_slices, held_out
from smug_recon.robustness.settings.evaluation import EvaluationConfig
from smug_recon.robustness.settings.methods import MethodSettings
from smug_recon.robustness.settings.scan import ScanSettings
from smug_recon.training import output
from smug_recon.training.cache import sha256_of

FORMAT = "smug-recon-evaluation/1"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A method, a probe, a slice, and the scan settings of the probe; ``example``: its image is kept."""

    method: MethodSettings
    probe: Probe
    slice: AnySlice
    scan: ScanSettings
    key: str
    example: bool = False

    def path(self, folder: Path) -> Path:
        """Where the finished job lies."""
        return folder / "jobs" / self.key[:2] / f"{self.key}.json"


def plan_jobs(config: EvaluationConfig) -> list[Job]:
    """Return all jobs, slices in turn: an evaluation that is stopped early has every method on the first slices.

    A shift to a contrast or an orientation that no slice has makes no job (:func:`unfulfilled`).
    """
    identities = {method.name: _identity(method) for method in config.methods}
    chosen: dict[tuple[tuple[str, Any], ...], tuple[ScanSettings, Sequence[AnySlice]]] = {}
    ordered: list[tuple[int, int, Job]] = []
    for number, (probe, methods) in enumerate(probes(config)):
        if probe.scan not in chosen:
            scan = ScanSettings.model_validate({**config.scan.model_dump(), **dict(probe.scan)})
            slices = fitting_slices(config.data, scan) if probe.scan else held_out(config.data, scan)
            chosen[probe.scan] = (scan, slices)
        scan, slices = chosen[probe.scan]
        for turn, slice_ in enumerate(slices[: probe.slices]):
            for method in methods:
                said = {
                    "format": FORMAT,
                    "method": identities[method.name],
                    "source": identities[probe.source] if probe.source else None,
                    "linear": identities[config.linear.name],
                    "probe": probe.model_dump(mode="json", exclude={"slices"}),
                    "scan": scan.model_dump(mode="json"),
                    "slice": slice_.fingerprint,
                    "seeds": [config.seed, config.data.seed],
                    "example": turn < config.examples and not probe.scan,
                }
                key = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:24]
                ordered.append((turn, number, Job(method, probe, slice_, scan, key, bool(said["example"]))))
    ordered.sort(key=lambda entry: entry[:2])
    return [job for _, _, job in ordered]


def unfulfilled(config: EvaluationConfig, jobs: Sequence[Job]) -> list[str]:
    """Return perturbations and strengths of a config of which the plan has no job, since no slice is of that kind."""
    planned = {(job.probe.perturbation, job.probe.strength) for job in jobs}
    wanted = [(probe.perturbation, probe.strength) for probe, methods in probes(config) if methods]
    return [
        f"{label} {strength}" for label, strength in dict.fromkeys(wanted) if (label, strength) not in planned
    ]


def _identity(method: MethodSettings) -> dict[str, Any]:
    said = method.model_dump(mode="json", exclude={"weights"})
    if method.weights is not None:
        said["weights"] = sha256_of(method.weights)
    return said


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a kill at any moment leaves all of it or nothing, whoever writes it too. OutputError."""
    output.write_whole(path, content, shared=True)


def save(job: Job, folder: Path, record: dict[str, Any]) -> None:
    """Keep the record of a finished job."""
    write_whole(job.path(folder), json.dumps(record, indent=1, sort_keys=True).encode())


def load(job: Job, folder: Path) -> dict[str, Any] | None:
    """Return the record of a job, or None where it has not been done, or a failing disk has left no record of it."""
    path = job.path(folder)
    try:
        return dict(json.loads(path.read_text())) if path.is_file() else None
    except ValueError:
        log.warning("%s holds no record: the job is done again", path)
        return None
