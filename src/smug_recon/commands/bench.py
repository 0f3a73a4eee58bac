"""``smug-recon bench [NAME]``."""

from pathlib import Path

import typer

from smug_recon.options import start_logging


def command(
    name: str = typer.Argument(
        None, help="A benchmark, all, guard or table; without it the benchmarks are listed."
    ),
    results: Path = typer.Argument(None, help="Folder of results, for guard and table."),
    out: Path = typer.Option(
        None, "-o", "--out", file_okay=False, help="Folder for JSON, Markdown and figure."
    ),
    size: str = typer.Option("full", help="quick, small or full."),
    quick: bool = typer.Option(False, "--quick", help="The same as --size quick."),
    threads: int = typer.Option(None, min=1, help="Of torch; all cores unless given."),
    rounds: int = typer.Option(None, min=1, help="Of the long benchmarks; 2 unless given."),
    page: Path = typer.Option(None, help="table: the page whose tables are renewed (docs/performance.md)."),
    record: bool = typer.Option(False, "--record", help="guard: make the results the recorded ones."),
) -> None:
    """Measure speed as ratios against peers and the plain version, side by side in one run.

    all: every benchmark, gpu only where there is one. guard: compare ratios with the recorded ones, those of RESULTS or of a
    quick run now; exit code 1 on a clear loss. table: print the tables of RESULTS, or renew those of a page.
    """
    from smug_recon.benchmarks.registry import ALL
    from smug_recon.errors import ConfigurationError

    start_logging()
    wanted = "quick" if quick else size
    if name is None:
        for known, about in ALL.items():
            typer.echo(f"{known:<18}{about}")
    elif name == "guard":
        _guard(results, record)
    elif name == "table":
        if results is None:
            raise ConfigurationError("no folder of results", "smug-recon bench table DIR", "name the folder")
        _table(results, page)
    else:
        from smug_recon.benchmarks.session import measure

        measure(name, wanted, out, threads, typer.echo, rounds)


def _guard(results: Path | None, record: bool) -> None:
    import shutil

    from smug_recon.benchmarks.guard import RECORDED, losses, recorded_results
    from smug_recon.benchmarks.page import results_in
    from smug_recon.benchmarks.registry import GUARDED
    from smug_recon.benchmarks.session import results_of

    found = results_in(results) if results else results_of(GUARDED, "quick")
    lost, compared = losses(found, recorded_results())
    for loss in lost:
        typer.echo(f"slower than recorded: {loss}", err=True)
    typer.echo(f"{compared} ratios compared with {RECORDED}, {len(lost)} clearly below")
    if record and results is not None:
        RECORDED.mkdir(exist_ok=True)
        for path in sorted(results.glob("*.json")):
            shutil.copyfile(path, RECORDED / path.name)
    elif lost:
        raise typer.Exit(1)


def _table(results: Path, page: Path | None) -> None:
    from smug_recon.benchmarks.page import renew, results_in, tables

    found = results_in(results)
    if page is None:
        typer.echo(tables(found))
    else:
        renew(page, found)
        typer.echo(f"{page}: {len(found)} results")
