"""``smug-recon demo``."""

from pathlib import Path

import typer

from smug_recon.options import PipelineOption, start_logging, unwind_on_sigterm

WRITTEN = {
    "raw scan": "raw.h5",
    "truth": "truth.h5",
    "images": "images.h5",
    "report": "report.html",
    "previews": "preview",
    "DICOM": "dicom",
    "timing": "timing.json",
    "scores": "scores.json",
    "comparison": "comparison.png",
}


def command(
    out: Path = typer.Option(
        Path("demo-out"), "-o", "--out", file_okay=False, help="Folder for everything the demo writes."
    ),
    pipeline: PipelineOption = None,
    contrast: str = typer.Option("t1w", help="t1w, t2w or flair."),
    slices: int = typer.Option(5, help="Number of slices."),
    seed: int = typer.Option(0, help="Of the synthetic head and the scan."),
) -> None:
    """Simulate a raw scan of a synthetic head, reconstruct it through the node, compare it with the truth.

    Writes raw.h5, truth.h5, images.h5, report.html, dicom/, preview/, timing.json, scores.json and comparison.png.
    """
    from smug_recon.demonstration import demonstrate
    from smug_recon.replay.progress import Bars
    from smug_recon.replay.results.timing import timing_table
    from smug_recon.simulation.protocol.settings import ScanSettings

    start_logging()
    unwind_on_sigterm()
    settings = ScanSettings(
        matrix_xy=(192, 240), coils=8, slices=slices, spacing_mm=12.0, contrast=contrast, seed=seed
    )
    x, y = settings.matrix_xy
    typer.echo(f"a raw scan: {slices} oblique slices of {x} x {y}, {settings.coils} coils, R = 4 ...")
    with Bars() as bars:
        found = demonstrate(settings, out, pipeline, bars.show)
    typer.echo(timing_table(found.result.timing))
    typer.echo(f"\n{'against the truth':<20}{'PSNR':>10}{'SSIM':>9}")
    for role, scores in found.scores.items():
        typer.echo(f"{role:<20}{scores.psnr_db:>7.2f} dB{scores.ssim:>9.4f}")
    typer.echo("")
    for name, where in WRITTEN.items():
        typer.echo(f"{name:<11} {out / where}")
    if found.result.fallbacks:
        typer.echo(f"smug-recon: {found.result.fallbacks} fallback images, see {out / 'node.log'}", err=True)
        raise typer.Exit(3)
