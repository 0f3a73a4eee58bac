"""``smug-recon train CONFIG``."""

from pathlib import Path

import typer


def command(
    config: Path = typer.Argument(
        ..., help="Training config (YAML); training/configs holds the shipped ones."
    ),
    out: Path = typer.Option(
        None, "-o", "--out", help="Folder of the run; runs/NAME by default. A run found there goes on."
    ),
    device: str = typer.Option("cpu", help="cpu or cuda."),
    stop_after: int = typer.Option(None, help="End after so many updates; the next call goes on from there."),
) -> None:
    """Train a network, or continue a training that was stopped at any point."""
    from smug_recon.training.config import load_config
    from smug_recon.training.loop import train

    loaded = load_config(config)
    folder = out or Path("runs") / loaded.name
    trainer = train(loaded, folder, device, stop_after)
    typer.echo(
        f"stage {trainer.stage}, update {trainer.update}: {folder / 'checkpoint.pt'}; curve in {folder / 'curve.csv'}"
    )
