"""The results of several studies in one long table: ``benchmarks/robustness.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from smug_recon.errors import DataError
from smug_recon.robustness.jobs.job import write_whole
from smug_recon.robustness.results.summary import Result

COLUMNS = (*(field.name for field in fields(Result)), "study")


@dataclass(frozen=True)
class Entry:
    """One line of the long table: a result and the study (the folder of its evaluation) that it comes from."""

    result: Result
    study: str


def read_collected(path: Path) -> list[Entry]:
    """Read a long table, with or without the column ``study``; DataError where a column is missing or no number."""
    try:
        with path.open(newline="") as file:
            lines = list(csv.DictReader(file))
        return [_entry(line, path.parent.name) for line in lines]
    except OSError as error:
        raise DataError(
            f"{path}, which cannot be read ({error.strerror})",
            "a results.csv",
            "run smug-recon evaluate first",
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: {error}", f"the columns {', '.join(COLUMNS)}", "run smug-recon evaluate again"
        ) from None


def _entry(line: dict[str, str], study: str) -> Entry:
    numbers = {name: float(line[name]) for name in ("mean", "ci_low", "ci_high")}
    whole = {name: int(line[name]) for name in ("steps", "n", "seed")}
    texts = {
        name: line[name]
        for name in ("method", "model", "data", "perturbation", "strength", "metric", "commit")
    }
    return Entry(Result(**texts, **whole, **numbers), line.get("study") or study)  # type: ignore[arg-type]


def collect(folders: Iterable[Path], table: Path) -> list[Entry]:
    """Put the results of evaluations into a long table, each in place of what the table had of that study.

    Args:
        folders: of evaluations, each with its ``results.csv``; their names are those of the studies.
        table: CSV, made where it is not there, replaced as a whole.

    Raises:
        DataError: a folder without results.
    """
    found = [entry for folder in folders for entry in read_collected(folder / "results.csv")]
    renewed = {entry.study for entry in found}
    kept = [entry for entry in read_collected(table) if entry.study not in renewed] if table.is_file() else []
    entries = kept + found
    write_collected(entries, table)
    return entries


def write_collected(entries: Sequence[Entry], path: Path) -> None:
    """Write the long table, studies in alphabetical order, the lines of each in its own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in sorted(entries, key=lambda entry: entry.study):
        values = [f"{value:.6g}" if isinstance(value, float) else value for value in astuple(entry.result)]
        writer.writerow([*values, entry.study])
    write_whole(path, text.getvalue().encode())
