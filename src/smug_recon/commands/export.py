"""``smug-recon export CKPT -o MODEL.pt``."""

from pathlib import Path

import typer


def command(
    checkpoint: Path = typer.Argument(..., help="checkpoint.pt of a training run."),
    out: Path = typer.Option(..., "-o", "--out", help="Model file to write."),
    metrics: Path = typer.Option(None, help="JSON file with measured figures for the card."),
) -> None:
    """Write the averaged weights of a checkpoint as a TorchScript model with its card."""
    import json

    from smug_recon.gadgets.model import sha256_of
    from smug_recon.training.convert import convert

    convert(checkpoint, out, json.loads(metrics.read_text()) if metrics else None)
    typer.echo(f"{out}  sha256 {sha256_of(out)}")
