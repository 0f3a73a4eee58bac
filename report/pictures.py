"""Pictures that need no window: coil maps, eigenvalues, sampling, noise correlation; PNG inside the page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image as Picture

MOSAIC_SIDE = 640
"""Pixels that a mosaic of coil maps is wide at most."""

SATURATION = 0.62
# Control points of sequential colours, dark to bright: perceptually even, legible without hue.
SEQUENTIAL = np.array(
    [(9, 13, 24), (30, 48, 92), (35, 96, 121), (42, 145, 127), (112, 189, 107), (239, 226, 120)], np.float64
)


def png(pixels: np.ndarray) -> str:
    """A data URI of an 8-bit picture: (rows, columns) grey or (rows, columns, 3) colour."""
    buffer = io.BytesIO()
    Picture.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def sequential(values: np.ndarray) -> np.ndarray:
    """Colours (..., 3) of values between 0 and 1."""
    at = np.clip(np.nan_to_num(values), 0, 1) * (len(SEQUENTIAL) - 1)
    stops = np.arange(len(SEQUENTIAL))
    return np.stack([np.interp(at, stops, SEQUENTIAL[:, c]) for c in range(3)], -1).astype(np.uint8)


def phase_colours(maps: np.ndarray, largest: float) -> np.ndarray:
    """Colours (..., 3) of complex values: the hue is the phase, the brightness the magnitude over ``largest``."""
    hue, value = (np.angle(maps) / (2 * np.pi)) % 1, np.clip(np.abs(maps) / max(largest, 1e-12), 0, 1)
    channels = []
    for offset in (5, 3, 1):  # of HSV, red, green and blue
        at = (offset + 6 * hue) % 6
        channels.append(value**0.8 * (1 - SATURATION * np.clip(np.minimum(at, 4 - at), 0, 1)))
    return (np.stack(channels, -1) * 255).astype(np.uint8)


def mosaic(maps_cyx: np.ndarray, gap: int = 2) -> np.ndarray:
    """All coils in a grid that is wider than high, in the colours of :func:`phase_colours`."""
    coils, rows, columns = maps_cyx.shape
    across = grid_columns(coils)
    down = -(-coils // across)
    colours = phase_colours(maps_cyx, float(np.abs(maps_cyx).max()))
    sheet = np.full((down * (rows + gap) - gap, across * (columns + gap) - gap, 3), 0, np.uint8)
    for number, tile in enumerate(colours):
        top, left = (number // across) * (rows + gap), (number % across) * (columns + gap)
        sheet[top : top + rows, left : left + columns] = tile
    if sheet.shape[1] > MOSAIC_SIDE:
        height = round(sheet.shape[0] * MOSAIC_SIDE / sheet.shape[1])
        sheet = np.asarray(Picture.fromarray(sheet).resize((MOSAIC_SIDE, height), Picture.Resampling.BOX))
    return sheet


def grid_columns(coils: int) -> int:
    """Tiles in a row of a mosaic: wider than high, with as few empty places as can be."""
    lowest = max(1, int(np.ceil(np.sqrt(coils))))
    return min(range(lowest, lowest + max(2, lowest * 4 // 5)), key=lambda across: (-coils % across, across))


def sampling(mask: np.ndarray) -> np.ndarray:
    """Colours of 0 not sampled, 1 sampled, 2 calibration: lines (ky) as rows of a square, or (kz, ky) as they are."""
    palette = np.array([(10, 17, 22), (78, 166, 204), (242, 194, 95)], np.uint8)
    marks = np.asarray(mask)
    if marks.ndim == 1:
        marks = np.repeat(marks[:, None], 8, axis=1)
    return palette[np.clip(marks, 0, 2)]


def correlation(covariance_cc: np.ndarray) -> np.ndarray:
    """``|C_ij| / sqrt(C_ii C_jj)``, zero where a channel has no noise at all."""
    deviation_c = np.sqrt(np.clip(np.real(np.diag(covariance_cc)), 0, None))
    both = deviation_c[:, None] * deviation_c
    return np.divide(np.abs(covariance_cc), both, out=np.zeros(both.shape), where=both > 0)


def matrix_picture(values_cc: np.ndarray) -> np.ndarray:
    """A matrix of numbers between 0 and 1 in colours; a cell is one pixel, the page enlarges it without smoothing."""
    return sequential(values_cc)


def gradient() -> str:
    """The sequential colours as CSS colour stops."""
    stops: list[Any] = [f"rgb({int(r)} {int(g)} {int(b)})" for r, g, b in SEQUENTIAL]
    return ", ".join(stops)
