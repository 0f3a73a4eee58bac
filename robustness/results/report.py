"""What is left behind: ``slices.csv``, ``results.csv``, and ``report.md`` with tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smug_recon.robustness.jobs.job import Job, load, unfulfilled
from smug_recon.robustness.results.figures import draw_figures
from smug_recon.robustness.results.rows import Row, all_rows, write_rows
from smug_recon.robustness.results.summary import Result, summarise, write_results
from smug_recon.robustness.results.tables import tables
from smug_recon.robustness.scenes.scene import data_name
from smug_recon.robustness.settings.evaluation import EvaluationConfig


def write_report(config: EvaluationConfig, jobs: Sequence[Job], folder: Path) -> list[Result]:
    """Summarise everything that is done; the same files come out whatever the order in which it was done."""
    rows = all_rows(jobs, folder, config)
    write_rows(rows, folder / "slices.csv")
    results = summarise(rows, config.seed, config.resamples)
    write_results(results, folder / "results.csv")
    figures = draw_figures(results, jobs, folder)
    done = sum(load(job, folder) is not None for job in jobs)
    text = [f"# {config.name}", "", *_head(config, rows, jobs, done), *tables(results)]
    text += (
        ["## Figures", ""]
        if figures
        else ["No figures: install matplotlib (pip install smug-recon[figures]).", ""]
    )
    text += [f"![{name}]({path.name})\n" for name, path in figures]
    (folder / "report.md").write_text("\n".join(text) + "\n")
    return results


def _head(config: EvaluationConfig, rows: Sequence[Row], jobs: Sequence[Job], done: int) -> list[str]:
    subjects: dict[str, set[str]] = {}
    for row in rows:
        subjects.setdefault(row.subject, set()).add(row.slice)
    counted = ", ".join(f"{name} ({len(slices)})" for name, slices in sorted(subjects.items()))
    commits = ", ".join(sorted({row.commit for row in rows}))
    head = [
        f"{data_name(config.data)}: subjects (slices) {counted or 'none'}. {done} of {len(jobs)} jobs are done. "
        f"Seed {config.seed}, commit {commits or 'none'}.",
        "",
    ]
    absent = unfulfilled(config, jobs)
    if absent:
        head += [f"Not measured, since no slice is of that kind: {', '.join(absent)}.", ""]
    if len(subjects) == 1:
        head += [
            "One subject: the intervals say nothing about other subjects; a single slice has none.",
            "",
        ]
    return [
        *head,
        "Means over slices with 95 % intervals from a bootstrap over subjects and slices within them. Strengths are relative to",
        "the peak of the target. What every label and metric means is in docs/evaluate.md.",
        "",
    ]
