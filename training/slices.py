"""The slices that training draws from: magnitude images in HDF5, one group ``/<subject>/<volume>_<orientation>``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from smug_recon.errors import ConfigurationError

FULL_SCALE = 4095.0


@dataclass(frozen=True)
class Volume:
    """The slices of one volume in one orientation, ``(n, y, x)`` uint16, 0..4095 (4095 is intensity 1)."""

    subject: str
    name: str
    orientation: str
    contrast: str
    attribution: str
    licence: str
    slices_nyx: NDArray[np.uint16]


def read_volumes(path: Path, split: str | None = None) -> list[Volume]:
    """Read all volumes of a slice file into memory, in the file's order; only those of ``split`` where one is given.

    Raises:
        ConfigurationError: no such file, or no volume of that split.
    """
    if not path.is_file():
        raise ConfigurationError(
            f"no file {path}",
            "an HDF5 file with groups /<subject>/<volume>",
            "set data.slices in the training config",
        )
    volumes: list[Volume] = []
    with h5py.File(path, "r") as file:
        for subject in file.values():
            for name, group in subject.items():
                attributes = {key: str(value) for key, value in group.attrs.items()}
                if split is not None and attributes.get("split") != split:
                    continue
                volumes.append(
                    Volume(
                        subject=attributes["subject"],
                        name=name,
                        orientation=attributes["orientation"],
                        contrast=attributes["contrast"],
                        attribution=attributes.get("attribution", ""),
                        licence=attributes.get("license", ""),
                        slices_nyx=group["slices"][:],
                    )
                )
    if not volumes:
        raise ConfigurationError(
            f"no volume of split {split!r} in {path}", "at least one", "choose another split or file"
        )
    return volumes
