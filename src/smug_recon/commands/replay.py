"""``smug-recon replay RAW -o OUT``."""

from pathlib import Path

import typer

from smug_recon.options import (
    Anonymise,
    Device,
    Enhanced,
    Group,
    ImageType,
    Noise,
    PatientId,
    PipelineOption,
    Preview,
    Samples,
    Seed,
    Send,
    Settings,
    overrides,
    start_logging,
    unwind_on_sigterm,
)


def command(
    raw: str = typer.Argument(
        ..., help="ISMRMRD HDF5 or stream, fastMRI HDF5, Siemens .dat, MRD 2 stream; - is standard input."
    ),
    out: Path = typer.Option(
        ...,
        "-o",
        "--output",
        "--out",
        file_okay=False,
        help="Folder for images.h5, dicom/, preview/, report.html, timing.json, node.log.",
    ),
    pipeline: PipelineOption = None,
    group: Group = None,
    noise: Noise = None,
    device: Device = None,
    seed: Seed = None,
    samples: Samples = None,
    image_type: ImageType = None,
    settings: Settings = None,
    dicom: bool = typer.Option(True, "--dicom/--no-dicom", help="Write a DICOM series."),
    preview: Preview = True,
    enhanced: Enhanced = False,
    anonymise: Anonymise = False,
    patient_id: PatientId = None,
    nifti: bool = typer.Option(False, "--nifti", help="Write NIfTI files to OUT/nifti (needs nibabel)."),
    report: bool = typer.Option(
        True, "--report/--no-report", help="Write report.html, and report.npz that it is made from."
    ),
    send: Send = None,
    patience: float = typer.Option(900.0, min=1.0, help="Longest silence of the node, in seconds."),
) -> None:
    """Reconstruct a raw scan offline through the Gadgetron node.

    Exit code 3 if there is a fallback image; with --send those of smug-recon send come first.
    """
    if raw != "-" and not Path(raw).exists():
        raise typer.BadParameter(f"no file {raw}", param_hint="RAW")
    if send is not None and not dicom:
        raise typer.BadParameter("there is nothing to send with --no-dicom", param_hint="--send")

    from smug_recon.replay import replay
    from smug_recon.replay.progress import Bars
    from smug_recon.replay.results.timing import timing_table

    start_logging()
    unwind_on_sigterm()
    destination = None
    if send is not None:
        from smug_recon.pacs import deliver, load_destination
        from smug_recon.pacs.status import outcome_text

        destination = load_destination(send)
    with Bars() as bars:
        result = replay(
            raw,
            out,
            pipeline,
            overrides=overrides(settings, device, seed, samples, image_type),
            group=group,
            noise=noise,
            dicom=dicom,
            preview=preview,
            nifti=nifti,
            notebook=report,
            dicom_options={"multiframe": enhanced, "anonymise": anonymise, "patient_id": patient_id},
            patience_s=patience,
            progress=bars.show,
        )
    typer.echo(timing_table(result.timing))
    typer.echo(f"images   {result.images}  " + ", ".join(f"{name}: {n}" for name, n in result.series.items()))
    for name, files in (
        ("preview", result.previews),
        ("dicom", result.dicom),
        ("nifti", result.nifti),
    ):
        if files:
            typer.echo(f"{name:<8} {files[0].parent}  {len(files)} files")
    if report:
        make_report(out, free_text=not anonymise)
    code = 3 if result.fallbacks else 0
    if destination is not None:
        outcome = deliver(result.dicom, destination)
        typer.echo(outcome_text(outcome, destination.to))
        code = outcome.exit_code or code
    if result.fallbacks:
        typer.echo(f"smug-recon: {result.fallbacks} fallback images, see {out / 'node.log'}", err=True)
    if code:
        raise typer.Exit(code)


def make_report(out: Path, free_text: bool) -> None:
    """Write the report; without one the images are no less good, so a failure is said and nothing else is lost."""
    from smug_recon.report import write_report

    try:
        typer.echo(f"report   {write_report(out, free_text)}")
    except Exception as error:
        typer.echo(f"smug-recon: no report.html: {type(error).__name__}: {error}", err=True)
