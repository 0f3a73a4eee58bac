"""``smug-recon demo``."""

from pathlib import Path

import typer


def command(
    out: Path = typer.Option(
        Path("smug-recon-demo"), "-o", "--out", help="Folder for everything the demo writes."
    ),
    pipeline: str = typer.Option(
        None, "-c", "--config", help="Pipeline YAML, Gadgetron XML, or a shipped name."
    ),
    contrast: str = typer.Option("t1w", help="t1w, t2w or flair."),
    slices: int = typer.Option(5, help="Number of slices."),
    seed: int = typer.Option(0, help="Of the synthetic head and the scan."),
) -> None:
    """Simulate a raw scan of a synthetic head, reconstruct it through the chain, compare it with the truth.

    Writes raw.h5, truth.h5, images.h5, dicom/, preview/, timing.json, scores.json and comparison.png.
    """
    if out.exists() and not out.is_dir():
        raise typer.BadParameter(f"{out} is not a folder", param_hint="--out")

    import dataclasses
    import json
    import logging
    import signal
    import sys

    import numpy as np

    from smug_recon.replay import replay
    from smug_recon.replay.images import read_images
    from smug_recon.replay.progress import Bars
    from smug_recon.replay.timing import timing_table
    from smug_recon.simulation.panel import write_panel
    from smug_recon.simulation.raw import write_raw
    from smug_recon.simulation.scan import simulate_scan
    from smug_recon.simulation.scores import score
    from smug_recon.simulation.settings import ScanSettings
    from smug_recon.simulation.truth import write_truth

    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # unwinds, which stops the node
    settings = ScanSettings(
        matrix_xy=(192, 240), coils=8, slices=slices, spacing_mm=13.0, contrast=contrast, seed=seed
    )
    x, y = settings.matrix_xy
    typer.echo(f"simulating {slices} oblique slices of {x} x {y}, {settings.coils} coils, R = 4 ...")
    scan = simulate_scan(settings)
    write_raw(scan, out / "raw.h5")
    write_truth(scan.truth, out / "truth.h5")
    typer.echo("reconstructing through the node ...")
    with Bars() as bars:
        result = replay(
            out / "raw.h5", out, pipeline, overrides={"images.conventional": "true"}, progress=bars.show
        )
    reference_syx = scan.truth.whitened_syx
    series: dict[str, np.ndarray] = {}
    for group in result.series:
        images = list(read_images(result.images, group))
        role = images[0].meta["ImageProcessingHistory"][1]
        stack_syx = series.setdefault(role, np.zeros(reference_syx.shape, np.complex64))
        for image in images:
            stack_syx[image.slice] = image.data[0, 0]
    scores = {role: score(stack_syx, reference_syx) for role, stack_syx in series.items()}
    (out / "scores.json").write_text(
        json.dumps({role: dataclasses.asdict(found) for role, found in scores.items()}, indent=2) + "\n"
    )
    write_panel(reference_syx, series, out / "comparison.png")
    typer.echo(timing_table(result.timing))
    typer.echo(f"\n{'against the truth':<20}{'PSNR':>10}{'SSIM':>9}")
    for role, found in scores.items():
        typer.echo(f"{role:<20}{found.psnr_db:>7.2f} dB{found.ssim:>9.4f}")
    typer.echo("")
    for name, where in (
        ("raw scan", "raw.h5"),
        ("truth", "truth.h5"),
        ("images", "images.h5"),
        ("previews", "preview"),
        ("DICOM", "dicom"),
        ("timing", "timing.json"),
        ("scores", "scores.json"),
        ("comparison", "comparison.png"),
    ):
        typer.echo(f"{name:<11} {out / where}")
    if result.fallbacks:
        typer.echo(f"smug-recon: {result.fallbacks} fallback images, see {out / 'node.log'}", err=True)
        raise typer.Exit(3)
