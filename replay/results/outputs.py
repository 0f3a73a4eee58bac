"""What is made of the images that came back: previews, DICOM files, NIfTI files; all of a kind or none."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import ismrmrd

from smug_recon.dicom import write_dicom, write_nifti
from smug_recon.replay.results.animation import write_animations
from smug_recon.replay.results.disk import all_or_none, clear
from smug_recon.replay.results.images import ImageFile, read_images
from smug_recon.replay.results.preview import write_previews


def write_all_previews(file: ImageFile, folder: Path) -> list[Path]:
    """Previews of every series, and films of what moves, those of an earlier run removed."""
    clear(folder, "*.png")
    clear(folder, "*.gif")
    written: list[Path] = []
    for group in file.counts:
        written += write_previews(read_images(file.path, group), folder, group)
        written += write_animations(read_images(file.path, group), folder, group, stack=False)
    return written


def write_all_dicom(
    file: ImageFile, header: ismrmrd.xsd.ismrmrdHeader, folder: Path, **options: Any
) -> list[Path]:
    """DICOM files of every series, those of an earlier run removed; ``options`` as ``dicom.write_dicom``.

    All of them or none: part of a series looks like a whole one.
    """
    images = itertools.chain.from_iterable(read_images(file.path, group) for group in file.counts)
    with all_or_none(folder, "*.dcm"):
        return write_dicom(images, header, folder, **options)


def write_all_nifti(file: ImageFile, header: ismrmrd.xsd.ismrmrdHeader, folder: Path) -> list[Path]:
    """NIfTI files of every series, those of an earlier run removed."""
    images = itertools.chain.from_iterable(read_images(file.path, group) for group in file.counts)
    with all_or_none(folder, "*.nii.gz"), all_or_none(folder, "*.json"):
        return write_nifti(images, header, folder)
