"""The slices that training draws from: magnitude images in HDF5, one group ``/<subject>/<volume>_<orientation>``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

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
    slices_nyx: Slices


class Slices(Protocol):
    """What of an array (n, y, x) is needed: in memory, or in the file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Slices, rows, columns."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: Any, /) -> Any: ...


@dataclass(frozen=True)
class StoredSlices:
    """Slices that stay in their file; each is read when it is asked for, by whichever process asks."""

    path: Path
    group: str
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, place: int, /) -> NDArray[np.uint16]:
        with h5py.File(self.path, "r") as file:
            read: NDArray[np.uint16] = file[self.group]["slices"][place]
            return read


def read_volumes(path: Path, split: str | None = None, stored: bool = False) -> list[Volume]:
    """Return all volumes of a slice file in the file's order; only those of ``split`` where one is given.

    Args:
        path: HDF5 file. split: of the wanted volumes. stored: leave the pixels in the file, so that processes do not each hold
            all of them; otherwise they are read into memory.

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
                        slices_nyx=StoredSlices(path, group.name, group["slices"].shape)
                        if stored
                        else group["slices"][:],
                    )
                )
    if not volumes:
        raise ConfigurationError(
            f"no volume of split {split!r} in {path}", "at least one", "choose another split or file"
        )
    return volumes
