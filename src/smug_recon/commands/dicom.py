"""``smug-recon dicom IMAGES.h5 -o DIR``."""

from pathlib import Path

import typer


def command(
    images: Path = typer.Argument(..., exists=True, dir_okay=False, help="images.h5 of smug-recon replay."),
    out: Path = typer.Option(..., "-o", "--output", "--out", help="Folder for the DICOM files."),
    enhanced: bool = typer.Option(False, "--enhanced", help="Enhanced MR: a file a volume, not one a slice."),
    series: list[str] = typer.Option([], help="This group of images only, e.g. images_1; repeatable."),
    component: list[str] = typer.Option(
        ["magnitude", "phase"], help="Of complex images: magnitude, phase, real, imaginary; repeatable."
    ),
    anonymise: bool = typer.Option(
        False, "--anonymise", help="Without patient, dates, site and free text; other UIDs."
    ),
    patient_id: str = typer.Option(
        None, "--patient-id", help="PatientID to write; with --anonymise a pseudonym."
    ),
    nifti: bool = typer.Option(False, "--nifti", help="NIfTI files instead (needs nibabel)."),
    preview: bool = typer.Option(
        False, "--preview", help="Also PNG previews, and a GIF where images move, in DIR/preview."
    ),
) -> None:
    """Write the images of a reconstruction as DICOM, or as NIfTI."""
    if out.exists() and not out.is_dir():
        raise typer.BadParameter(f"{out} is not a folder", param_hint="--out")
    if patient_id is not None and (not 0 < len(patient_id.strip()) <= 64 or "\\" in patient_id):
        raise typer.BadParameter("1 to 64 characters, no backslash", param_hint="--patient-id")
    if nifti and enhanced:
        raise typer.BadParameter("NIfTI has no --enhanced", param_hint="--nifti")

    import itertools
    import logging

    from smug_recon.dicom import write_dicom, write_nifti
    from smug_recon.replay.animation import write_animations
    from smug_recon.replay.images import groups, image_header, read_images
    from smug_recon.replay.preview import write_previews

    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    chosen = groups(images, series)
    header = image_header(images)
    found = itertools.chain.from_iterable(read_images(images, name) for name in chosen)
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
