"""PNG previews of the images, turned the way they are usually looked at, windowed as their Meta says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import ismrmrd
import numpy as np
from PIL import Image as Picture

from smug_recon.dicom.geometry import display_order, plane
from smug_recon.whole_file import whole_file


def write_previews(images: Iterable[ismrmrd.Image], folder: Path, stem: str) -> list[Path]:
    """One 8-bit PNG per image and partition, ``STEM_0001.png`` ...; complex images are shown as magnitude.

    grey = 255 (|value| - (centre - width/2)) / width, with WindowCenter and WindowWidth of the Meta, else 0
    to the 99.5th percentile. Pixels are square in millimetres. A file has its name only when it is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for image in images:
        for picture in grey_pictures(image):
            path = folder / f"{stem}_{len(written) + 1:04d}.png"
            with whole_file(path) as unfinished:
                picture.save(unfinished, format="PNG")
            written.append(path)
    return written


def grey_pictures(image: ismrmrd.Image, shown: tuple[float, float] | None = None) -> list[Picture.Image]:
    """The planes of an image as 8-bit pictures the usual way up, from ``shown`` (low, high) or its own window."""
    values_czyx = np.abs(image.data).astype(np.float32)
    low, high = shown or window(image, values_czyx)
    grey_czyx = np.clip((values_czyx - low) * (255.0 / max(high - low, 1e-20)), 0, 255).astype(np.uint8)
    where = plane(image)
    transpose, flip_rows, flip_columns = display_order(where.along_row, where.along_column)
    made = []
    for plane_yx in grey_czyx.reshape(-1, *grey_czyx.shape[2:]):
        picture: Picture.Image = Picture.fromarray(plane_yx)
        picture = picture.resize(_display_size(image, plane_yx.shape), Picture.Resampling.BICUBIC)
        if transpose:
            picture = picture.transpose(Picture.Transpose.TRANSPOSE)
        if flip_rows:
            picture = picture.transpose(Picture.Transpose.FLIP_TOP_BOTTOM)
        if flip_columns:
            picture = picture.transpose(Picture.Transpose.FLIP_LEFT_RIGHT)
        made.append(picture)
    return made


def window(image: ismrmrd.Image, values: np.ndarray) -> tuple[float, float]:
    """Lowest and highest value shown."""
    try:
        centre, width = float(image.meta["WindowCenter"]), float(image.meta["WindowWidth"])
    except (KeyError, TypeError, ValueError):
        return 0.0, float(np.percentile(values, 99.5)) if values.size else 1.0
    return centre - width / 2, centre + width / 2


def _display_size(image: ismrmrd.Image, shape_yx: tuple[int, ...]) -> tuple[int, int]:
    """Width and height in pixels with square pixels, never smaller than the matrix."""
    rows, columns = shape_yx[-2:]
    width_mm, height_mm = float(image.field_of_view[0]), float(image.field_of_view[1])
    if not (width_mm > 0 and height_mm > 0):
        return columns, rows
    pixel_mm = min(width_mm / columns, height_mm / rows)
    width, height = round(width_mm / pixel_mm), round(height_mm / pixel_mm)
    return (width, height) if max(width, height) <= 4096 else (columns, rows)
