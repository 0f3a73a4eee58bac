"""``smug-recon explain IMAGE``."""

from pathlib import Path

import typer


def command(
    image: Path = typer.Argument(..., help="images.h5 of a replay, or a DICOM file of smug-recon dicom."),
) -> None:
    """Print how images came about: software, model and pipeline with their hashes, seed, device, fallbacks, seconds."""
    from smug_recon.replay.hdf5.watched import examine
    from smug_recon.replay.results.explain import explain

    examine(image)
    typer.echo(explain(image))
