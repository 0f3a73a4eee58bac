"""Slice files as they come: attributes that other programs wrote, volumes that are no slices, slices that show nothing.

Whatever is not as the layout says ends in an error that names the volume: wrong pixels would be trained on and measured unnoticed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from smug_recon.errors import ConfigurationError

FULL_SCALE = 4095.0
DARK = 0.08 * FULL_SCALE  # a pixel below it counts as air
PLANES = {"ax": "axial", "tra": "axial", "cor": "coronal", "sag": "sagittal"}

log = logging.getLogger(__name__)


def volume_groups(path: Path) -> Iterator[tuple[str, h5py.Group]]:
    """Yield the subject's group name and the group of every volume of a slice file: those with a dataset ``slices``.

    Raises:
        ConfigurationError: no such file, no HDF5 file, or no such group in it.
    """
    expected = "an HDF5 file with groups /<subject>/<volume>_<orientation>, each with a dataset slices"
    remedy = "see docs/training.md for the layout; set data.slices in the config, or --slices"
    if not path.is_file():
        raise ConfigurationError(f"no file {path}", expected, remedy)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ConfigurationError(f"{path}, which is no HDF5 file ({error})", expected, remedy) from None
    with file:
        found = [
            (subject, group)
            for subject, volumes in file.items()
            if isinstance(volumes, h5py.Group)
            for group in volumes.values()
            if isinstance(group, h5py.Group) and isinstance(group.get("slices"), h5py.Dataset)
        ]
        if not found:
            raise ConfigurationError(f"no volume in {path}", expected, remedy)
        yield from found


def text_attributes(group: h5py.Group) -> dict[str, str]:
    """Return the attributes of a volume as text, whether they were written as strings or as bytes."""
    return {name: _text(value) for name, value in group.attrs.items()}


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def orientation_of(name: str, said: str | None) -> str:
    """Return axial, coronal or sagittal: as the attribute says, or the end of the volume's name; axial where neither does."""
    for words in (said or "", name.rpartition("_")[2]):
        for beginning, plane in PLANES.items():
            if words.strip().lower().startswith(beginning):
                return plane
    log.warning("a volume without orientation is taken for axial: it decides where the coils lie")
    return "axial"


def shown_slices(path: Path, group: h5py.Group) -> tuple[int, ...]:
    """Return the numbers of the slices of a volume that show something; every pixel of the volume is looked at, slice by slice.

    Raises:
        ConfigurationError: not (n, rows, columns), or pixels that are not numbers from 0 to 4095, or all far below 4095.
    """
    slices = group["slices"]

    def wrong(found: str, remedy: str) -> ConfigurationError:
        return ConfigurationError(
            f"{found} in {group.name}/slices of {path}",
            "slices (n, rows, columns) of magnitudes 0 to 4095, 4095 the 99.9th percentile of the volume",
            remedy,
        )

    if slices.ndim != 3 or slices.dtype.kind not in "uif":
        raise wrong(f"{slices.dtype} of shape {slices.shape}", "write uint16 of three dimensions")
    brightest: list[float] = []
    for number in range(len(slices)):
        pixels = slices[number]
        low, high = (float(pixels.min()), float(pixels.max())) if pixels.size else (0.0, 0.0)
        if not (low >= 0 and high <= FULL_SCALE):  # also where they are no numbers
            raise wrong(f"pixels from {low:g} to {high:g}", "scale and clip them; nan has no place")
        brightest.append(high)
    if brightest and 0 < max(brightest) < DARK:
        raise wrong(f"no pixel above {max(brightest):g}", "scale the volume")
    return tuple(number for number, high in enumerate(brightest) if high >= DARK)
