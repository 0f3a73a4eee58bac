"""The evaluation: tune, plan, do what has not been done, book what failed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from smug_recon.errors import ConfigurationError
from smug_recon.robustness.jobs.context import Context
from smug_recon.robustness.jobs.failures import Failure, write_failures
from smug_recon.robustness.jobs.job import Job, load, plan_jobs, write_whole
from smug_recon.robustness.methods.loading import build_method, require_weights
from smug_recon.robustness.methods.tuning import tune
from smug_recon.robustness.running.cluster import PATIENCE_S, connected, spread
from smug_recon.robustness.running.doing import Done, Study, attempt, exact
from smug_recon.robustness.scenes.scene import draw_scene, held_out, splits_of
from smug_recon.robustness.settings.evaluation import EvaluationConfig
from smug_recon.robustness.settings.methods import MethodSettings
from smug_recon.training.export import commit_of
from smug_recon.training.output import require_device, written

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """The whole plan, and what of it could not be done."""

    jobs: list[Job]
    failures: list[Failure]


def tuned(config: EvaluationConfig, folder: Path) -> EvaluationConfig:
    """Replace every ``auto`` regularisation by the best one on the tuning split; found values are kept in ``tuned.txt``."""
    methods: list[MethodSettings] = []
    for method in config.methods:
        if method.kind not in ("cg-sense", "l1-wavelet") or method.regularisation != "auto":
            methods.append(method)
            continue
        if config.data.raw is not None:
            raise ConfigurationError(
                f"regularisation of {method.name} is auto and the scans are measured",
                "a number: there are no other subjects to tune it on",
                "set regularisation (0.001 to 0.1 for clean to noisy scans)",
            )
        said = f"{method.kind} {method.iterations} {config.data.model_dump_json()} {config.scan.model_dump_json()}"
        known = _known(folder / "tuned.txt")
        if said not in known:
            _warn_of_tuning(config, method)
            data = config.data.model_copy(update={"limit": config.data.tuning_slices})
            slices = held_out(data, config.scan, config.data.tuning_split)
            scenes = [draw_scene(slice_, config.scan, config.data.seed) for slice_ in slices]
            known[said] = tune(
                lambda value, method=method: build_method(  # type: ignore[misc]
                    method.model_copy(update={"regularisation": value})
                ),
                scenes,
            )
            lines = "".join(f"{value:g}\t{text}\n" for text, value in known.items())
            write_whole(folder / "tuned.txt", lines.encode())
        methods.append(method.model_copy(update={"regularisation": known[said]}))
    return config.model_copy(update={"methods": tuple(methods)})


def _warn_of_tuning(config: EvaluationConfig, method: MethodSettings) -> None:
    slices, split = config.data.slices, config.data.tuning_split
    if slices is not None and split not in splits_of(slices):
        log.warning("no split %s in %s: %s is tuned on evaluated subjects", split, slices.name, method.name)


def _known(path: Path) -> dict[str, float]:
    if not path.is_file():
        return {}
    lines = [line.partition("\t") for line in path.read_text().splitlines()]
    return {text: float(value) for value, _, text in lines}


def evaluate(
    config: EvaluationConfig,
    folder: Path,
    device: str = "cpu",
    workers: int = 1,
    scheduler: str | None = None,
) -> Evaluation:
    """Do every job that has not been done yet. Killed at any time, it goes on where it was; failed jobs are tried again.

    Args:
        config: whole. folder: of the results, ``jobs/`` and ``perturbations/`` are made there. device: ``cpu`` or ``cuda``.
        workers: processes of a local Dask cluster, each with one thread; 1 works in this process, without Dask.
        scheduler: address of a Dask scheduler whose workers do the jobs. The numbers depend on neither.

    Raises:
        ConfigurationError: no weights, slices, device or scheduler, or its workers do not see what this process sees.
        OutputError: the folder cannot be written.
    """
    require_weights(config.methods)
    if scheduler is None:
        require_device(device)
    folder = folder.absolute()
    with written(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with exact(device):
        config = tuned(config, folder)
    jobs = plan_jobs(config)
    study = Study(config, folder, device, commit_of(Path(__file__).parent))
    unfinished = [number for number, job in enumerate(jobs) if load(job, folder) is None]
    failures: list[Failure] = []
    with (
        tqdm(total=len(jobs), initial=len(jobs) - len(unfinished), desc=config.name, unit="job") as bar,
        _hands(study, jobs, unfinished, workers, scheduler) as ends,
    ):
        for done in ends:
            bar.update()
            if done.reason:
                failures.append(Failure(jobs[done.number], done.reason))
                bar.set_postfix(failed=len(failures))
                write_failures(failures, folder)
    write_failures(failures, folder)
    return Evaluation(jobs, failures)


@contextmanager
def _hands(
    study: Study, jobs: Sequence[Job], numbers: Sequence[int], workers: int, scheduler: str | None
) -> Iterator[Iterator[Done]]:
    """Yield the ends of the jobs, one by one, done here or on a cluster."""
    if not numbers or (workers <= 1 and scheduler is None):
        context = Context(study.config, study.folder, study.device)
        yield (attempt(number, jobs[number], context, study.commit) for number in numbers)
        return
    with connected(min(workers, len(numbers)), scheduler) as client:
        yield spread(client, study, jobs, numbers, PATIENCE_S if scheduler is None else None)
