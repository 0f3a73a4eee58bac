"""``smug-recon export CKPT -o MODEL.pt``."""

from pathlib import Path

import typer


def command(
    checkpoint: Path = typer.Argument(..., help="checkpoint.pt of a training run."),
    out: Path = typer.Option(
        ..., "-o", "--out", help="Model file to write; NAME.safetensors: the weights alone."
    ),
    metrics: Path = typer.Option(None, help="JSON file with measured figures for the card."),
    slices: Path = typer.Option(
        None,
        help="Held-out subjects, a slice file or a folder of fully sampled raw files: figures of the card are measured on them.",
    ),
    splits: str = typer.Option("val,test", help="Splits of a slice file to measure on, separated by commas."),
    count: int = typer.Option(32, help="Simulated scans per split."),
    mirror: bool = typer.Option(None, help="Denoise every other smoothing copy as its mirror image."),
    iterations: int = typer.Option(None, help="Conjugate gradient iterations per step at most."),
    tolerance: float = typer.Option(None, help="Relative residual at which they stop."),
    blend: Path = typer.Option(
        None, help="Another checkpoint of the same network, which has a share in every weight."
    ),
    share: float = typer.Option(0.2, help="Its share, between 0 and 1."),
    precision: str = typer.Option(
        "float32", help="Of the denoiser: float32, or bfloat16 (faster on processors and GPUs that know it)."
    ),
) -> None:
    """Write the averaged weights of a checkpoint as a TorchScript model with its card, or as a weights file."""
    import json

    from smug_recon.errors import ConfigurationError
    from smug_recon.gadgets.model.file import sha256_of
    from smug_recon.training.blend import Blend
    from smug_recon.training.convert import convert

    try:
        given = json.loads(metrics.read_text()) if metrics else {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{metrics}, which cannot be read ({error})", "JSON, figures by name", "correct --metrics"
        ) from None
    wanted = {"mirror": mirror, "iterations": iterations, "tolerance": tolerance}
    running = {name: value for name, value in wanted.items() if value is not None}
    other = Blend(blend, share) if blend else None
    convert(
        checkpoint, out, given, slices, splits.split(",") if slices else [], count, running, precision, other
    )
    typer.echo(f"{out}  sha256 {sha256_of(out)}")
