"""``smug-recon install-gadgetron [--home DIR]``."""

from pathlib import Path

import typer


def command(
    home: Path = typer.Option(None, help="Folder of the Gadgetron, as in gadgetron --home."),
    force: bool = typer.Option(
        False, help="Replace files that differ; the old one is kept as NAME.xml.before."
    ),
) -> None:
    """Copy the Gadgetron configurations of smug-recon to share/gadgetron/config; exit code 3 if one was left alone."""
    from smug_recon.scanner.gadgetron_home import KEPT, find_home, install

    done = install(find_home(home), force)
    for file in done:
        typer.echo(f"{file.path}  {file.what}")
    if any(file.what == KEPT for file in done):
        typer.echo(
            "smug-recon: files that differ were kept; --force replaces them, and keeps them as *.before",
            err=True,
        )
        raise typer.Exit(3)
