"""``smug-recon archive DIR -o OUT``."""

from pathlib import Path

import typer

from smug_recon.options import (
    Anonymise,
    Device,
    Enhanced,
    ImageType,
    PipelineOption,
    Preview,
    Samples,
    Seed,
    Settings,
    overrides,
    start_logging,
    unwind_on_sigterm,
)


def command(
    source: str = typer.Argument(
        ..., metavar="DIR", help="Folder with raw files, or a URL such as s3://bucket/raw."
    ),
    out: str = typer.Option(..., "-o", "--output", "--out", help="Folder for the results, or a URL."),
    pipeline: PipelineOption = None,
    device: Device = None,
    seed: Seed = None,
    samples: Samples = None,
    image_type: ImageType = None,
    settings: Settings = None,
    dicom: bool = typer.Option(True, "--dicom/--no-dicom", help="Write a DICOM series for every scan."),
    preview: Preview = True,
    nifti: bool = typer.Option(False, "--nifti", help="Write NIfTI files (needs nibabel)."),
    enhanced: Enhanced = False,
    anonymise: Anonymise = False,
    include: list[str] = typer.Option([], help="Only paths like this, e.g. '*/T2*.h5'; repeatable."),
    exclude: list[str] = typer.Option([], help="No paths like this; repeatable."),
    workers: int | None = typer.Option(
        None, min=1, help="Worker processes; one per GPU, else per set of cores."
    ),
    threads_per_worker: int | None = typer.Option(None, min=1, help="Cores of each worker; at most 4."),
    scheduler: str | None = typer.Option(
        None, metavar="ADDRESS", help="A Dask scheduler, e.g. tcp://host:8786."
    ),
    tls: tuple[Path, Path, Path] | None = typer.Option(
        None, metavar="CA CERT KEY", help="PEM files for a scheduler that wants TLS."
    ),
    dashboard: int = typer.Option(8787, min=0, max=65535, help="Port of the local dashboard; 0: any."),
    retry_failed: bool = typer.Option(False, "--retry-failed", help="Try again what failed before."),
    same_version: bool = typer.Option(
        False, "--same-version", help="Do again what another version of this software made."
    ),
    time_limit: float = typer.Option(3600.0, min=1.0, help="Longest time for one scan, in seconds."),
    split: int = typer.Option(
        32,
        min=0,
        metavar="MB",
        help="Split scans of at least this size where that shortens the end; 0: never.",
    ),
    attempts: int = typer.Option(3, min=1, max=10, help="Tries of a scan that takes its process with it."),
) -> None:
    """Reconstruct every raw file of a folder on a Dask cluster; a second run does what is missing or changed.

    Exit code 1 if a scan failed, else 3 if there is a fallback image.
    """
    try:
        from smug_recon.archive.cluster import Where
        from smug_recon.archive.order import Outputs, order_of
        from smug_recon.archive.plan import Terms
        from smug_recon.archive.progress import Terminal
        from smug_recon.archive.results import absolute
        from smug_recon.archive.run import archive
    except ModuleNotFoundError as error:
        from smug_recon.errors import ConfigurationError

        raise ConfigurationError(
            f"no Python package {error.name}", "Dask and its companions", "pip install 'smug-recon[archive]'"
        ) from None
    start_logging()
    unwind_on_sigterm()
    order = order_of(
        pipeline,
        overrides(settings, device, seed, samples, image_type),
        Outputs(dicom, preview, nifti, enhanced, anonymise),
    )
    terms = Terms(
        absolute(source),
        absolute(out),
        time_limit,
        attempts,
        retry_failed,
        same_version,
        split_bytes=split * 1_000_000 or None,
    )
    where = Where(
        scheduler,
        workers,
        threads_per_worker,
        dashboard,
        None if tls is None else (str(tls[0]), str(tls[1]), str(tls[2])),
    )
    with Terminal() as terminal:
        outcome = archive(order, terms, where, include=include, exclude=exclude, watcher=terminal)
    typer.echo(f"done      {outcome.done} scans now, {outcome.planned.done + outcome.same} before")
    typer.echo(f"index     {terms.out.rstrip('/')}/index.html")
    if outcome.failed:
        typer.echo(f"smug-recon: {outcome.failed} scans failed, see index.html and scans.csv", err=True)
    if outcome.fallbacks:
        typer.echo(f"smug-recon: {outcome.fallbacks} fallback images, see index.html", err=True)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
