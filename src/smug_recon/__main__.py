"""The command line. Each command is one file in ``commands/``; heavy imports wait until a command runs."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import typer

from smug_recon import __version__, commands
from smug_recon.errors import ConfigurationError, ModelError, SmugReconError

app = typer.Typer(
    name="smug-recon", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def door(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Robust MRI reconstruction by smoothed unrolling (SMUG)."""


for _found in sorted(pkgutil.iter_modules(commands.__path__), key=lambda module: module.name):
    _module = importlib.import_module(f"smug_recon.commands.{_found.name}")
    app.command(_found.name.replace("_", "-"))(_module.command)


def main() -> None:
    """Run a command; 0 done, 1 failed, 2 bad usage or configuration, 3 finished with a fallback image."""
    try:
        app()
    except SmugReconError as error:
        typer.echo(f"smug-recon: {type(error).__name__}: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigurationError | ModelError) else 1)


if __name__ == "__main__":
    main()
