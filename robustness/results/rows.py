"""Per-slice values: what was measured, and what follows from comparing rows of one slice."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from smug_recon.robustness.jobs.job import Job, load
from smug_recon.robustness.scenes.scene import data_name
from smug_recon.robustness.settings.evaluation import EvaluationConfig


@dataclass(frozen=True)
class Row:
    """One metric of one method under one perturbation on one slice."""

    method: str
    model: str
    data: str
    perturbation: str
    strength: str
    steps: int
    slice: str
    subject: str
    metric: str
    value: float
    seed: int
    commit: str


def as_text(strength: Any) -> str:
    """Return a strength as it stands in the tables."""
    return f"{strength:g}" if isinstance(strength, int | float) else str(strength)


def measured_rows(jobs: Iterable[Job], folder: Path, data: str) -> list[Row]:
    """Return the rows of all finished jobs of a plan, in its order."""
    rows: list[Row] = []
    for job in jobs:
        record = load(job, folder)
        if record is None:
            continue
        head = Row(
            record["method"],
            record["model"],
            data,
            record["perturbation"],
            as_text(record["strength"]),
            int(record["steps"]),
            record["slice"],
            record["subject"],
            "",
            math.nan,
            int(record["seed"]),
            record["commit"],
        )
        rows += [replace(head, metric=name, value=float(value)) for name, value in record["metrics"].items()]
    return rows


Key = tuple[str, str, str, str, int]  # slice, method, perturbation, strength, steps


def key_of(row: Row) -> Key:
    """Return what a row is about, but for its metric."""
    return row.slice, row.method, row.perturbation, row.strength, row.steps


def worst_rows(rows: Sequence[Row]) -> list[Row]:
    """Return, for every slice, method, domain and strength, the rows of the perturbation with the lowest PSNR of all.

    ``kspace-worst``, ``adjoint-worst`` and ``start-worst`` are taken over noise, attacks of every norm and number of steps, and
    transferred ones.
    """
    psnr = {key_of(row): row.value for row in rows if row.metric == "psnr_db"}
    lowest: dict[tuple[str, str, str, str], Key] = {}
    for key in psnr:
        domain, _, kind = key[2].partition("-")
        if domain in ("kspace", "adjoint", "start") and kind.partition("-")[0] in (
            "noise",
            "pgd",
            "transfer",
        ):
            place = (key[0], key[1], domain, key[3])
            if place not in lowest or psnr[key] < psnr[lowest[place]]:
                lowest[place] = key
    chosen = {key: f"{domain}-worst" for (_, _, domain, _), key in lowest.items()}
    return [replace(row, perturbation=chosen[key_of(row)], steps=0) for row in rows if key_of(row) in chosen]


def derived_rows(rows: Sequence[Row], linear: str) -> list[Row]:
    """Return what follows from comparing the rows of each slice.

    * ``loss_db``: the method's own clean PSNR less the perturbed one;
    * ``cg_sense_same_loss_db``: the same for CG-SENSE under the same perturbation; ``excess_loss_db``: the difference of the two;
    * ``cg_sense_worst_psnr_db``: CG-SENSE under its own worst perturbation of that domain, norm and strength;
      ``excess_over_worst_db``: loss_db less CG-SENSE's loss under that.
    """
    psnr = {key_of(row): row.value for row in rows if row.metric == "psnr_db"}
    own_worst: dict[tuple[str, str, str], float] = {}
    for (name, method, perturbation, strength, _), value in psnr.items():
        if method == linear:
            place = (name, perturbation, strength)
            own_worst[place] = min(own_worst.get(place, math.inf), value)
    found: list[Row] = []
    for row in rows:
        clean = psnr.get((row.slice, row.method, "clean", "0", 0), math.nan)
        linear_clean = psnr.get((row.slice, linear, "clean", "0", 0), math.nan)
        if row.metric == "psnr_db" and row.perturbation != "clean":
            found.append(replace(row, metric="loss_db", value=clean - row.value))
        if row.metric == "cg_sense_same_psnr_db":
            loss, same = clean - psnr[key_of(row)], linear_clean - row.value
            found.append(replace(row, metric="cg_sense_same_loss_db", value=same))
            found.append(replace(row, metric="excess_loss_db", value=loss - same))
            worst = own_worst.get((row.slice, row.perturbation.replace("transfer", "pgd"), row.strength))
            if worst is not None and "noise" not in row.perturbation:
                found.append(replace(row, metric="cg_sense_worst_psnr_db", value=worst))
                found.append(replace(row, metric="excess_over_worst_db", value=loss - (linear_clean - worst)))
    return [row for row in found if math.isfinite(row.value)]


def paired_rows(rows: Sequence[Row], reference: str) -> list[Row]:
    """Return ``METRIC_minus_REFERENCE``: each method less the reference on the same slice, for PSNR, SSIM and the losses."""
    metrics = ("psnr_db", "ssim", "loss_db", "excess_loss_db")
    base = {(key_of(row), row.metric): row.value for row in rows if row.method == reference}
    found: list[Row] = []
    for row in rows:
        if row.method == reference or row.metric not in metrics:
            continue
        label = row.perturbation
        there = base.get(((row.slice, reference, label, row.strength, row.steps), row.metric))
        if there is None:  # the attack that others get from the reference is the reference's own
            label = label.replace("transfer", "pgd")
            there = base.get(((row.slice, reference, label, row.strength, row.steps), row.metric))
        if there is not None:
            found.append(replace(row, metric=f"{row.metric}_minus_{reference}", value=row.value - there))
    return found


def all_rows(jobs: Sequence[Job], folder: Path, config: EvaluationConfig) -> list[Row]:
    """Return measured, worst, derived and paired rows of everything done so far."""
    rows = measured_rows(jobs, folder, data_name(config.data))
    rows += worst_rows(rows)
    rows += derived_rows(rows, config.linear.name)
    if config.reference:
        rows += paired_rows(rows, config.reference)
    return rows


def write_rows(rows: Iterable[Row], path: Path) -> None:
    """Write per-slice rows as CSV; any summary can be recomputed from it."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        names = [field.name for field in fields(Row)]
        writer.writerow(names)
        for row in rows:
            writer.writerow([f"{row.value:.8g}" if name == "value" else getattr(row, name) for name in names])
