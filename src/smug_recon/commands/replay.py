"""``smug-recon replay RAW -o OUT``."""

from pathlib import Path

import typer


def command(
    raw: str = typer.Argument(
        ..., help="ISMRMRD HDF5 or stream, fastMRI HDF5, Siemens .dat, MRD 2 stream; - is standard input."
    ),
    out: Path = typer.Option(
        ..., "-o", "--output", "--out", help="Folder for images.h5, dicom/, preview/, timing.json, node.log."
    ),
    pipeline: str = typer.Option(
        None, "-c", "--config", help="Pipeline YAML, Gadgetron XML, or a shipped name."
    ),
    group: str = typer.Option(None, "-G", "--group", help="Group in the HDF5 file; dataset, else the first."),
    noise: Path = typer.Option(
        None, exists=True, help="Raw file with the noise scan, where the scan has none of its own."
    ),
    device: str = typer.Option(None, help="auto, cpu or cuda."),
    seed: int = typer.Option(None, help="Seed of the smoothing noise."),
    samples: int = typer.Option(None, help="Smoothing copies at each denoiser call."),
    image_type: str = typer.Option(None, "--type", help="uint16, float32 or complex64."),
    settings: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Any other setting, by dotted name."
    ),
    dicom: bool = typer.Option(True, "--dicom/--no-dicom", help="Write a DICOM series."),
    preview: bool = typer.Option(True, "--preview/--no-preview", help="Write PNG previews."),
    enhanced: bool = typer.Option(False, "--enhanced", help="DICOM as Enhanced MR: a file a volume."),
    anonymise: bool = typer.Option(
        False, "--anonymise", help="DICOM without patient, dates, site and free text."
    ),
    patient_id: str = typer.Option(
        None, "--patient-id", help="PatientID of the DICOM files; with --anonymise a pseudonym."
    ),
    nifti: bool = typer.Option(False, "--nifti", help="Write NIfTI files to OUT/nifti (needs nibabel)."),
    patience: float = typer.Option(900.0, min=1.0, help="Longest silence of the node, in seconds."),
) -> None:
    """Reconstruct a raw scan offline through the Gadgetron node; exit code 3 if a fallback image was sent."""
    overrides = {"device": device, "seed": seed, "samples": samples, "images.type": image_type}
    chosen = {name: str(value) for name, value in overrides.items() if value is not None}
    if raw != "-" and not Path(raw).exists():
        raise typer.BadParameter(f"no file {raw}", param_hint="RAW")
    if out.exists() and not out.is_dir():
        raise typer.BadParameter(f"{out} is not a folder", param_hint="--out")
    if patient_id is not None and (not 0 < len(patient_id.strip()) <= 64 or "\\" in patient_id):
        raise typer.BadParameter("1 to 64 characters, no backslash", param_hint="--patient-id")

    import logging
    import signal
    import sys

    from smug_recon.pipeline import parse_settings
    from smug_recon.replay import replay
    from smug_recon.replay.progress import Bars
    from smug_recon.replay.timing import timing_table

    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # unwinds, which stops the node
    with Bars() as bars:
        result = replay(
            raw,
            out,
            pipeline,
            overrides={**chosen, **parse_settings(settings)},
            group=group,
            noise=noise,
            dicom=dicom,
            preview=preview,
            nifti=nifti,
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
    if result.fallbacks:
        typer.echo(f"smug-recon: {result.fallbacks} fallback images, see {out / 'node.log'}", err=True)
        raise typer.Exit(3)
