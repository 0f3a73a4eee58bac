"""``smug-recon tabulate RESULTS... --csv TABLE --page PAGE``."""

from pathlib import Path

import typer


def command(
    results: list[Path] = typer.Argument(
        None,
        help="Folders that smug-recon evaluate wrote; their names are those of the studies.",
        file_okay=False,
    ),
    csv: Path = typer.Option(
        ...,
        help="Long table: the results replace what it has of the same studies (benchmarks/robustness.csv).",
    ),
    page: Path = typer.Option(
        None, help="Page whose tables are written and whose figures are drawn anew (docs/robustness.md)."
    ),
) -> None:
    """Collect evaluations into one table; write the tables and draw the figures of a page from it."""
    from smug_recon.robustness.page.document import renew
    from smug_recon.robustness.results.collected import collect

    entries = collect(results or [], csv)
    typer.echo(f"{csv}: {len(entries)} lines of {len({entry.study for entry in entries})} studies")
    if page is not None:
        renewed = renew(page, entries, {folder.resolve().name: folder for folder in results or []})
        typer.echo(f"{page}: {renewed.tables} tables, {len(renewed.drawn)} figures")
        for reason in renewed.left:
            typer.echo(reason, err=True)
