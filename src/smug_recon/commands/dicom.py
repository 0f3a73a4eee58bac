"""``smug-recon dicom IMAGES.h5 -o DIR``."""

from pathlib import Path

import typer

from smug_recon.options import Anonymise, Enhanced, PatientId, start_logging


def command(
    images: Path = typer.Argument(..., exists=True, dir_okay=False, help="images.h5 of smug-recon replay."),
    out: Path = typer.Option(
        ..., "-o", "--output", "--out", file_okay=False, help="Folder for the DICOM files."
    ),
    enhanced: Enhanced = False,
    series: list[str] = typer.Option([], help="This group of images only, e.g. images_1; repeatable."),
    component: list[str] = typer.Option(
        ["magnitude", "phase"], help="Of complex images: magnitude, phase, real, imaginary; repeatable."
    ),
    anonymise: Anonymise = False,
    patient_id: PatientId = None,
    nifti: bool = typer.Option(False, "--nifti", help="NIfTI files instead (needs nibabel)."),
    preview: bool = typer.Option(
        False, "--preview", help="Also PNG previews, and a GIF where images move, in DIR/preview."
    ),
) -> None:
    """Write the images of a reconstruction as DICOM, or as NIfTI."""
    if nifti and enhanced:
        raise typer.BadParameter("NIfTI has no --enhanced", param_hint="--nifti")

    import itertools

    from smug_recon.dicom import write_dicom, write_nifti
    from smug_recon.replay.hdf5.watched import examine
    from smug_recon.replay.results.animation import write_animations
    from smug_recon.replay.results.disk import written_to
    from smug_recon.replay.results.images import groups, image_header, read_images
    from smug_recon.replay.results.preview import write_previews

    start_logging()
    examine(images)
    chosen = groups(images, series)
    header = image_header(images)
    found = itertools.chain.from_iterable(read_images(images, name) for name in chosen)
    with written_to(out):
        if nifti:
            files = write_nifti(found, header, out, component)
        else:
            files = write_dicom(
                found,
                header,
                out,
                multiframe=enhanced,
                components=component,
                anonymise=anonymise,
                patient_id=patient_id,
            )
    typer.echo(f"{'nifti' if nifti else 'dicom':<8} {out}  {len(files)} files")
    if preview:
        pictures = []
        for name in chosen:
            pictures += write_previews(read_images(images, name), out / "preview", name)
            pictures += write_animations(read_images(images, name), out / "preview", name)
        typer.echo(f"preview  {out / 'preview'}  {len(pictures)} files")
