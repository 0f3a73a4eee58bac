"""Tables declared in a page: what their comments say, and the Markdown that stands below it."""

from __future__ import annotations

from collections.abc import Sequence

from smug_recon.errors import DataError
from smug_recon.robustness.page.chosen import (
    Declaration,
    declared,
    methods_of,
    of_studies,
    one_result,
    words_of,
)
from smug_recon.robustness.results.collected import Entry
from smug_recon.robustness.results.summary import Result
from smug_recon.robustness.results.tables import markdown

SHOWN = ("mean", "interval", "signed", "count")
Column = tuple[str, str, str, str]  # perturbation, strength, metric, what is shown


class Table(Declaration):
    """A table: see :mod:`smug_recon.robustness.page.document`."""

    study: str
    columns: dict[str, str] = {}
    across: str | None = None
    methods: list[str] = ["*"]
    steps: int | None = None


def table_text(said: str, entries: Sequence[Entry]) -> str:
    """Return the table that a comment declares. DataError where it names what is not there."""
    table = declared(Table, said, "a table")
    own = of_studies(entries, [table.study])
    columns = {title: _column(place) for title, place in table.columns.items()} | _across(table, own)
    lines = [
        [name, *(_cell(own, name, table.steps, column) for column in columns.values())]
        for name in methods_of(own, table.methods)
    ]
    lines = [line for line in lines if any(line[1:])]
    if not lines:
        raise DataError(
            f"nothing in a table of the study {table.study!r}",
            "columns that some method has",
            "evaluate them, or mend the comment",
        )
    return "\n".join(markdown(["method", *(title.strip() for title in columns)], lines)).rstrip("\n")


def _column(place: str) -> Column:
    perturbation, strength, metric, shown = [*words_of(place, "perturbation strength metric", SHOWN), "mean"][
        :4
    ]
    return perturbation, strength, metric, shown


def _across(table: Table, own: Sequence[Result]) -> dict[str, Column]:
    if table.across is None:
        return {}
    perturbation, metric, shown = [*words_of(table.across, "perturbation metric", SHOWN), "mean"][:3]
    strengths = dict.fromkeys(result.strength for result in own if result.perturbation == perturbation)
    return {strength: (perturbation, strength, metric, shown) for strength in strengths}


def _cell(own: Sequence[Result], method: str, steps: int | None, column: Column) -> str:
    perturbation, strength, metric, shown = column
    found = one_result(own, method, perturbation, strength, metric, steps)
    return "" if found is None else _shown(found, shown)


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
