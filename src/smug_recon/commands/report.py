"""``smug-recon report OUT``."""

from pathlib import Path

import typer


def command(
    folder: Path = typer.Argument(
        ..., metavar="OUT", exists=True, file_okay=False, help="Folder of smug-recon replay or demo."
    ),
    anonymise: bool = typer.Option(
        False, "--anonymise", help="Leave out the names of scan and coils, and the date."
    ),
) -> None:
    """Write OUT/report.html again, from images.h5, timing.json and report.npz."""
    from smug_recon.options import start_logging
    from smug_recon.replay.hdf5.watched import examine
    from smug_recon.report import write_report

    start_logging()
    examine(folder / "images.h5")
    typer.echo(f"report   {write_report(folder, free_text=not anonymise)}")
