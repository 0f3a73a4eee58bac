"""Pixels for the browser: 12 bits a pixel, compressed, turned the way images are usually looked at.

code = rint(|value| / slope), slope so that the largest value of a series has a code of at most 4095;
the codes of a row are replaced by their differences, low bytes before high bytes, deflated, base64
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import ismrmrd
import numpy as np

from smug_recon.dicom.geometry import display_order, plane

LARGEST_CODE = 4095
LONGEST_SIDE = 384
"""Pixels of a side; larger images are averaged down."""


@dataclass(frozen=True)
class Turn:
    """How a plane is turned for the eye, and the size of its pixels afterwards relative to each other."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False
    aspect: float = 1.0
    """Width over height of the whole picture in mm."""

    def __call__(self, values_yx: np.ndarray) -> np.ndarray:
        turned = values_yx.swapaxes(-1, -2) if self.transpose else values_yx
        turned = turned[..., ::-1, :] if self.flip_rows else turned
        return turned[..., ::-1] if self.flip_columns else turned


def turn_of(image: ismrmrd.Image) -> Turn:
    """The turn for an image from its directions and field of view."""
    where = plane(image)
    transpose, flip_rows, flip_columns = display_order(where.along_row, where.along_column)
    rows, columns = image.data.shape[-2:]
    width_mm, height_mm = float(image.field_of_view[0]), float(image.field_of_view[1])
    aspect = width_mm / height_mm if width_mm > 0 and height_mm > 0 else columns / rows
    return Turn(transpose, flip_rows, flip_columns, 1 / aspect if transpose else aspect)


def fitted(values_yx: np.ndarray, side: int = LONGEST_SIDE) -> np.ndarray:
    """Average an image down by a whole factor until its longer side has at most ``side`` pixels; float32."""
    values_yx = np.asarray(values_yx, np.float32)
    factor = -(-max(values_yx.shape) // side)
    if factor == 1:
        return values_yx
    rows, columns = (max(1, size // factor) for size in values_yx.shape)
    kept = values_yx[: rows * factor, : columns * factor]
    return kept.reshape(rows, factor, columns, factor).mean((1, 3)) if kept.size else values_yx


def packed(values_yx: np.ndarray, slope: float) -> dict[str, Any]:
    """Width, height and compressed codes of an image."""
    rows, columns = values_yx.shape
    codes = np.clip(np.rint(np.nan_to_num(values_yx) / slope), 0, LARGEST_CODE).astype(np.uint16)
    steps = np.diff(codes, axis=1, prepend=np.zeros((rows, 1), np.uint16))
    halves = np.stack([steps & 255, steps >> 8]).astype(np.uint8)
    return {"w": columns, "h": rows, "data": base64.b64encode(zlib.compress(halves.tobytes(), 9)).decode()}


def unpacked(plane: dict[str, Any], slope: float) -> np.ndarray:
    """The values of a packed image, as the browser gets them."""
    raw = zlib.decompress(base64.b64decode(plane["data"]))
    low, high = np.frombuffer(raw, np.uint8).reshape(2, plane["h"], plane["w"]).astype(np.uint16)
    return np.cumsum(low | (high << 8), axis=1, dtype=np.uint16) * slope


def slope_of(largest: float) -> float:
    """The step between two codes: 1 where the values are whole numbers that fit, else the smallest that fits."""
    if not np.isfinite(largest) or largest <= 0:
        return 1.0
    return 1.0 if 256 <= largest <= LARGEST_CODE else largest / LARGEST_CODE


def evenly(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` of ``count`` numbers, evenly spread, the first and the last among them."""
    if count <= wanted:
        return list(range(count))
    return sorted({round(n * (count - 1) / max(wanted - 1, 1)) for n in range(wanted)})
