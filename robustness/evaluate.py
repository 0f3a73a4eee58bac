"""The evaluation: tune, plan, do what has not been done, summarise."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from smug_recon.errors import ConfigurationError
from smug_recon.robustness.attacked import measure_attack, measure_transfer
from smug_recon.robustness.bounded_jobs import measure_bounds
from smug_recon.robustness.config import EvaluationConfig, MethodSettings
from smug_recon.robustness.context import Context
from smug_recon.robustness.images import keep_example
from smug_recon.robustness.jobs import Job, load, plan_jobs, save, write_whole
from smug_recon.robustness.lesioned import measure_lesion
from smug_recon.robustness.loading import build_method, require_weights
from smug_recon.robustness.measure import Measured, measure_clean, measure_noise, measure_scale, measure_steps
from smug_recon.robustness.scenes import draw_scene, held_out
from smug_recon.robustness.tuning import tune
from smug_recon.training.export import commit_of

MEASURES: dict[str, Callable[[Job, Context], Measured]] = {
    "clean": measure_clean,
    "noise": measure_noise,
    "attack": measure_attack,
    "transfer": measure_transfer,
    "unrolling-steps": measure_steps,
    "input-scale": measure_scale,
    "lesion": measure_lesion,
    "bounds": measure_bounds,
}


@contextmanager
def exact(device: str) -> Iterator[None]:
    """Compute in full float32 and reproducibly: one CPU thread (sums depend on their number), no TF32 on a GPU."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    try:
        with flags:
            yield
    finally:
        torch.set_num_threads(threads)


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


def _known(path: Path) -> dict[str, float]:
    if not path.is_file():
        return {}
    lines = [line.partition("\t") for line in path.read_text().splitlines()]
    return {text: float(value) for value, _, text in lines}


def do(job: Job, context: Context, commit: str) -> dict[str, Any]:
    """Measure one job and keep its record."""
    with exact(context.device):
        measured = MEASURES[job.probe.kind](job, context)
    record = {
        "method": job.method.name,
        "model": context.method(job.method).model,
        "perturbation": job.probe.perturbation,
        "strength": job.probe.strength,
        "steps": job.probe.steps,
        "slice": job.slice.name,
        "subject": job.slice.subject,
        "seed": context.seed,
        "commit": commit,
        "device": context.device,
        "metrics": measured.values,
    }
    keep_example(job, context, measured)
    save(job, context.folder, record)
    return record


_CONTEXTS: dict[tuple[str, str, str], Context] = {}


def do_number(config: EvaluationConfig, number: int, folder: Path, device: str, commit: str) -> int:
    """Do job ``number`` of a tuned config in any process; methods stay built between calls. Returns the number."""
    name = (config.model_dump_json(), str(folder), device)
    if name not in _CONTEXTS:
        _CONTEXTS.clear()
        _CONTEXTS[name] = Context(config, folder, device)
        _PLANS[name] = plan_jobs(config)
    do(_PLANS[name][number], _CONTEXTS[name], commit)
    return number


_PLANS: dict[tuple[str, str, str], list[Job]] = {}


def evaluate(config: EvaluationConfig, folder: Path, device: str = "cpu", workers: int = 1) -> list[Job]:
    """Do every job that has not been done yet; return the plan. Killed at any time, it goes on where it was.

    Args:
        config: whole. folder: of the results, ``jobs/`` and ``perturbations/`` are made there. device: ``cpu`` or ``cuda``.
        workers: processes, each with one thread; the numbers do not depend on them.

    Raises:
        ConfigurationError: weights or slices are missing.
    """
    require_weights(config.methods)
    folder.mkdir(parents=True, exist_ok=True)
    with exact(device):
        config = tuned(config, folder)
    jobs = plan_jobs(config)
    commit = commit_of(Path(__file__).parent)
    open_jobs = [number for number, job in enumerate(jobs) if load(job, folder) is None]
    with tqdm(total=len(jobs), initial=len(jobs) - len(open_jobs), desc=config.name, unit="job") as bar:
        if workers <= 1:
            context = Context(config, folder, device)
            for number in open_jobs:
                do(jobs[number], context, commit)
                bar.update()
            return jobs
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
            given = [pool.submit(do_number, config, number, folder, device, commit) for number in open_jobs]
            try:
                for finished in as_completed(given):
                    finished.result()
                    bar.update()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return jobs
