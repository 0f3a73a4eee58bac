"""Tables within a page, each written from the long table as the comment before it says.

A comment opens a table, in YAML; what stands between it and ``<!-- end -->`` is replaced::

    <!-- table
    study: robustness
    methods: [modl, smug*]
    columns:
      clean: clean 0 psnr_db
      "start 0.02 [95 %]": start-pgd-linf 0.02 psnr_db interval
    across: acceleration psnr_db
    -->
    <!-- end -->

A column is perturbation, strength, metric and, if wanted, ``interval`` (mean and interval), ``signed`` (the same with a
sign), ``count`` (the number of slices). ``across`` adds a column for every strength of a perturbation. ``methods`` are names
or patterns, in their order; without them all, as the study lists them. ``steps`` chooses the attacks of so many steps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from smug_recon.errors import DataError
from smug_recon.robustness.collected import Entry
from smug_recon.robustness.jobs import write_whole
from smug_recon.robustness.summary import Result
from smug_recon.robustness.tables import markdown

TABLE = re.compile(r"(<!-- table\n(.*?)-->\n)(.*?)(<!-- end -->)", re.DOTALL)
SHOWN = ("mean", "interval", "signed", "count")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")

    study: str
    columns: dict[str, str] = {}
    across: str | None = None
    methods: list[str] = ["*"]
    steps: int | None = None


def renew(page: Path, entries: Sequence[Entry]) -> int:
    """Write all tables of a page anew; return their number. DataError where a comment names what is not there."""
    text, count = TABLE.subn(
        lambda found: f"{found[1]}{_rendered(found[2], entries, page.name)}\n{found[4]}",
        page.read_text(encoding="utf-8"),
    )
    write_whole(page, text.encode())
    return count


def _rendered(said: str, entries: Sequence[Entry], page: str) -> str:
    try:
        table = _Table.model_validate(yaml.safe_load(said))
    except (yaml.YAMLError, ValidationError) as error:
        raise DataError(
            f"{page}: a table that cannot be read ({error})", "study, columns, methods", "mend the comment"
        ) from None
    own = [entry.result for entry in entries if entry.study == table.study]
    columns = {title: _column(place, page) for title, place in table.columns.items()} | _across(table, own)
    names = list(dict.fromkeys(result.method for result in own))
    chosen = [name for pattern in table.methods for name in names if fnmatchcase(name, pattern)]
    lines = [
        [name, *(_cell(own, name, table.steps, *column) for column in columns.values())]
        for name in dict.fromkeys(chosen)
    ]
    lines = [line for line in lines if any(line[1:])]
    if not lines:
        raise DataError(
            f"{page}: nothing of the study {table.study!r} in this table",
            f"one of {', '.join(sorted({entry.study for entry in entries}))}",
            "evaluate it, or mend the comment",
        )
    return "\n".join(markdown(["method", *(title.strip() for title in columns)], lines)).rstrip("\n")


Column = tuple[str, str, str, str]  # perturbation, strength, metric, what is shown


def _column(place: str, page: str) -> Column:
    words = place.split()
    if len(words) == 3:
        words.append("mean")
    if len(words) != 4 or words[3] not in SHOWN:
        raise DataError(
            f"{page}: the column {place!r}",
            f"perturbation strength metric [{'|'.join(SHOWN)}]",
            "mend the comment",
        )
    return words[0], words[1], words[2], words[3]


def _across(table: _Table, own: Sequence[Result]) -> dict[str, Column]:
    if table.across is None:
        return {}
    perturbation, metric, *shown = table.across.split()
    strengths = dict.fromkeys(result.strength for result in own if result.perturbation == perturbation)
    return {strength: (perturbation, strength, metric, *(shown or ["mean"])) for strength in strengths}  # type: ignore[misc]


def _cell(own: Sequence[Result], method: str, steps: int | None, *column: Any) -> str:
    perturbation, strength, metric, shown = column
    found = [
        result
        for result in own
        if (result.method, result.perturbation, result.strength, result.metric)
        == (method, perturbation, strength, metric)
        and steps in (None, result.steps)
    ]
    if not found:
        return ""
    if len(found) > 1:
        raise DataError(
            f"{perturbation} {strength} {metric} of {method} for {', '.join(str(one.steps) for one in found)} steps",
            "one of them",
            "say steps in the comment",
        )
    return _shown(found[0], shown)


def _shown(result: Result, shown: str) -> str:
    if shown == "count":
        return str(result.n)
    sign = "+" if shown == "signed" else ""
    digits = _digits(result)
    text = f"{result.mean:{sign}{digits}}"
    if shown == "mean":
        return text
    return f"{text} [{result.ci_low:{sign}{digits}}, {result.ci_high:{sign}{digits}}]"


def _digits(result: Result) -> str:
    if result.metric.endswith("_db") or "_db_minus_" in result.metric:
        return ".2f"
    return ".0f" if result.metric == "denoiser_calls" else ".3g"
