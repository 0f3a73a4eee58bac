"""``smug-recon model MODEL.pt``."""

from pathlib import Path

import typer


def command(model: Path = typer.Argument(..., help="TorchScript model file.")) -> None:
    """Print the card and the SHA-256 of a model file."""
    import json

    from smug_recon.gadgets.model.file import read_card, sha256_of

    typer.echo(
        json.dumps(
            {"sha256": sha256_of(model), **read_card(model).model_dump(mode="json", by_alias=True)}, indent=2
        )
    )
