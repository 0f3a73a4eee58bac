"""``smug-recon compare IMAGES.h5 TRUTH.h5``."""

from pathlib import Path

import typer


def command(
    images: Path = typer.Argument(..., exists=True, dir_okay=False, help="images.h5 of smug-recon replay."),
    truth: Path = typer.Argument(
        ..., exists=True, dir_okay=False, help="Truth of smug-recon simulate, or another images.h5."
    ),
    series: list[str] = typer.Option([], help="Compare this series only, e.g. images_1; repeatable."),
    against: str = typer.Option(
        "images_1", help="Series of the other images.h5 to compare with, where that is one."
    ),
    brief: bool = typer.Option(False, "--brief", help="One line a series, none for each slice."),
    json_file: Path | None = typer.Option(None, "--json", help="Also write the numbers to this file."),
) -> None:
    """Print PSNR, SSIM and NRMSE of every series and slice against the truth of a simulated scan."""
    import dataclasses
    import json
    import math
    from collections.abc import Iterator
    from functools import partial

    import h5py

    from smug_recon.errors import ConfigurationError
    from smug_recon.replay.hdf5.watched import examine
    from smug_recon.replay.results.images import groups, read_images
    from smug_recon.simulation.truth.compare import (
        ImageReference,
        Picture,
        Reference,
        TruthFile,
        compare_series,
        pictures,
    )
    from smug_recon.simulation.truth.scores import Scores

    def holds_images(path: Path) -> bool:
        with h5py.File(path, "r") as file:
            return "dataset" in file

    examine(images, truth)
    for path in (images, truth):
        if not h5py.is_hdf5(path):
            raise ConfigurationError(f"{path}, which is no HDF5 file", "an HDF5 file", "check the path")
    if not holds_images(images):
        raise ConfigurationError(
            f"{images.name} without images", "images.h5 of smug-recon replay first", "swap the two files"
        )
    reference: Reference
    if holds_images(truth):
        reference = ImageReference(list(pictures(read_images(truth, against), 1)))
    else:
        reference = TruthFile(truth)
    chosen = groups(images, series)

    def read(name: str) -> Iterator[Picture]:
        return pictures(read_images(images, name), reference.partitions)

    def column(value: float, width: int, digits: int) -> str:
        return f"{'-':>{width}}" if math.isnan(value) else f"{value:{width}.{digits}f}"

    def entry(value: Scores) -> dict[str, float | None]:
        """JSON knows no NaN."""
        return {key: None if math.isnan(one) else one for key, one in dataclasses.asdict(value).items()}

    scores = {}
    typer.echo(f"{'series':<12} {'image':<36} {'PSNR dB':>8} {'SSIM':>7} {'NRMSE':>7}")
    for name in chosen:
        result = compare_series(name, partial(read, name), reference)
        rows = [(f"all {len(result.images)}", result.whole)]
        if not brief:
            rows += [(str(where), value) for where, value in result.images.items()]
        for label, value in rows:
            columns = column(value.psnr_db, 8, 2), column(value.ssim, 7, 4), column(value.nrmse, 7, 4)
            typer.echo(f"{name:<12} {label:<36} {' '.join(columns)}")
        scores[name] = {
            "all": entry(result.whole),
            "images": [{**where._asdict(), **entry(value)} for where, value in result.images.items()],
        }
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(scores, indent=2) + "\n")
