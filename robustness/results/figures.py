"""Curves with intervals, and example images with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smug_recon.robustness.jobs.job import Job
from smug_recon.robustness.measures.images import image_path, read_pair
from smug_recon.robustness.results.rows import as_text
from smug_recon.robustness.results.summary import Result

ERROR_GAIN = 5.0


def draw_figures(results: Sequence[Result], jobs: Sequence[Job], folder: Path) -> list[tuple[str, Path]]:
    """Write PNG files; return titles and paths. Without matplotlib there are none."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return []
    found: list[tuple[str, Path]] = []
    for perturbation in dict.fromkeys(result.perturbation for result in results):
        for metric in ("psnr_db", "excess_loss_db"):
            own = [
                result for result in results if (result.perturbation, result.metric) == (perturbation, metric)
            ]
            if len({result.strength for result in own if _number(result.strength) is not None}) < 2:
                continue
            path = folder / f"{perturbation}-{metric}.png"
            _curves(Figure(figsize=(6.4, 4.4), layout="constrained"), own).savefig(path, dpi=110)
            found.append((f"{perturbation}: {metric}", path))
    for title, shown in examples(jobs, folder).items():
        figure = Figure(figsize=(2.1 * (len(shown) + 1), 4.6), layout="constrained")
        path = folder / f"example-{title.replace('/', '_').replace(' ', '-')}.png"
        _panel(figure, shown, title).savefig(path, dpi=110)
        found.append((title, path))
    return found


def _number(strength: str) -> float | None:
    try:
        return float(strength)
    except ValueError:
        return None


def _curves(figure: Any, own: Sequence[Result]) -> Any:
    axes = figure.add_subplot()
    for method, steps in dict.fromkeys((result.method, result.steps) for result in own):
        mine = [result for result in own if (result.method, result.steps) == (method, steps)]
        points = sorted(
            (number, result) for result in mine if (number := _number(result.strength)) is not None
        )
        x = [number for number, _ in points]
        label = f"{method}, {steps} steps" if steps else method
        (line,) = axes.plot(x, [result.mean for _, result in points], "o-", label=label, markersize=3)
        low, high = [result.ci_low for _, result in points], [result.ci_high for _, result in points]
        axes.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set_xlabel(f"strength ({own[0].perturbation})")
    axes.set_ylabel(own[0].metric)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    return figure


def examples(jobs: Sequence[Job], folder: Path) -> dict[str, dict[str, Path]]:
    """Return the kept images: title to method to file; of noise and attacks the strongest and longest of each kind."""
    strongest: dict[str, tuple[float, int]] = {}
    kept = [job for job in jobs if job.example and image_path(job, folder).is_file()]
    for job in kept:
        size = (float(job.probe.strength), job.probe.steps)
        label = job.probe.perturbation
        strongest[label] = max(strongest.get(label, size), size)
    found: dict[str, dict[str, Path]] = {}
    for job in kept:
        if (float(job.probe.strength), job.probe.steps) != strongest[job.probe.perturbation]:
            continue
        title = f"{job.slice.name} {job.probe.perturbation} {as_text(job.probe.strength)}"
        found.setdefault(title, {})[job.method.name] = image_path(job, folder)
    return found


def _panel(figure: Any, shown: dict[str, Path], title: str) -> Any:
    axes = figure.subplots(2, len(shown) + 1, squeeze=False)
    for place in axes.flat:
        place.axis("off")
    for column, (name, path) in enumerate(shown.items(), start=1):
        image, target = read_pair(path)
        axes[0, 0].imshow(target, cmap="gray", vmin=0, vmax=0.8)
        axes[0, column].imshow(image, cmap="gray", vmin=0, vmax=0.8)
        axes[1, column].imshow(ERROR_GAIN * np.abs(image - target), cmap="magma", vmin=0, vmax=0.8)
        axes[0, column].set_title(name, fontsize=8)
    axes[0, 0].set_title("target", fontsize=8)
    axes[1, 0].text(
        0.5,
        0.5,
        f"error of the\nmagnitude x {ERROR_GAIN:g}",
        ha="center",
        fontsize=8,
        transform=axes[1, 0].transAxes,
    )
    figure.suptitle(title, fontsize=8)
    return figure
