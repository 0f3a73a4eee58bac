"""The tables of docs/performance.md, written between two markers from the results of a run."""

from __future__ import annotations

from pathlib import Path

from smug_recon.benchmarks.record import Result, markdown, read_result
from smug_recon.benchmarks.registry import ALL
from smug_recon.errors import DataError

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def results_in(folder: Path) -> list[Result]:
    """Return the results of a folder in the order of the registry, then the others; DataError without any."""
    order = list(ALL)
    found = [read_result(path) for path in sorted(folder.glob("*.json"))]
    if not found:
        raise DataError(f"no results in {folder}", "files that smug-recon bench -o wrote", "run it first")
    return sorted(found, key=lambda r: order.index(r.benchmark) if r.benchmark in order else len(order))


def tables(results: list[Result]) -> str:
    """Return all tables as Markdown."""
    return "\n".join(markdown(result) for result in results)


def renew(page: Path, results: list[Result]) -> None:
    """Replace what stands between the markers of a page; DataError where they are missing."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DataError(
            f"{page.name} without markers", f"{BEGIN} and {END}", "put them where the tables belong"
        )
    page.write_text(f"{before}{BEGIN}\n\n{tables(results)}\n{END}{after}", encoding="utf-8")
