"""A picture for the eye: truth, reconstructions and their errors side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from smug_recon.simulation.truth.scores import best_scale

MARGIN = 16  # pixels above every row, for the captions
GAIN = 8  # errors are shown this many times brighter


def write_panel(
    truth_syx: NDArray, series: Mapping[str, NDArray], path: Path, rows: int = 3, gain: int = GAIN
) -> None:
    """Write a PNG: one row a slice; truth, every series, then the error of every series, ``gain`` times
    brighter.

    Args:
        truth_syx: reference magnitudes or complex images. series: name -> images (s, y, x).
        rows: slices shown at most, evenly spread.
    """
    wanted = np.abs(truth_syx)
    top = float(np.percentile(wanted[wanted > 0.02 * wanted.max()], 98.5))
    scaled = {name: best_scale(images, truth_syx) * np.abs(images) for name, images in series.items()}
    columns = [("truth", wanted), *scaled.items()]
    columns += [
        (f"error of {name}, {gain}x", gain * np.abs(images - wanted)) for name, images in scaled.items()
    ]
    chosen = np.unique(np.linspace(0, len(wanted) - 1, min(rows, len(wanted))).round().astype(int))
    height, width = wanted.shape[1:]
    sheet = Image.new("L", (width * len(columns), (height + MARGIN) * len(chosen)))
    draw = ImageDraw.Draw(sheet)
    for row, number in enumerate(chosen):
        for column, (name, images) in enumerate(columns):
            grey = np.clip(images[number] / top * 255, 0, 255).astype(np.uint8)
            sheet.paste(Image.fromarray(grey), (column * width, row * (height + MARGIN) + MARGIN))
            caption = f"{name}, slice {number}" if column == 0 else name
            draw.text((column * width + 4, row * (height + MARGIN) + 2), caption, fill=230)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
