"""The slices that training draws from: magnitude images in HDF5, one group ``/<subject>/<volume>_<orientation>``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from smug_recon.errors import ConfigurationError
from smug_recon.training.slicefile import (
    FULL_SCALE,
    orientation_of,
    shown_slices,
    text_attributes,
    volume_groups,
)

__all__ = ["FULL_SCALE", "Slices", "StoredSlices", "Volume", "read_volumes"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Volume:
    """The slices of one volume in one orientation, ``(n, y, x)`` uint16, 0..4095 (4095 is intensity 1).

    ``numbers``: of the slices in the file, where some of them show nothing and are left out.
    """

    subject: str
    name: str
    orientation: str
    contrast: str
    attribution: str
    licence: str
    slices_nyx: Slices
    numbers: tuple[int, ...] | None = None

    def number(self, place: int) -> int:
        """Return the number in the file of the slice at a place."""
        return place if self.numbers is None else self.numbers[place]


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
    numbers: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, place: int, /) -> NDArray[np.uint16]:
        with h5py.File(self.path, "r") as file:
            number = place if self.numbers is None else self.numbers[place]
            read: NDArray[np.uint16] = file[self.group]["slices"][number]
            return read


def read_volumes(path: Path, split: str | None = None, stored: bool = False) -> list[Volume]:
    """Return all volumes of a slice file in the file's order; only those of ``split`` where one is given.

    A volume without the attribute ``subject`` belongs to that of its group's name, one without ``orientation`` has that in its own
    name. Slices that show nothing (no pixel above 8 % of full scale) are left out, and the log says how many.

    Args:
        path: HDF5 file. split: of the wanted volumes. stored: leave the pixels in the file, so that processes do not each hold
            all of them; otherwise they are read into memory.

    Raises:
        ConfigurationError: no such file, no volume of that split, or one that is not as the layout says.
    """
    volumes: list[Volume] = []
    splits: set[str] = set()
    left_out = 0
    for subject, group in volume_groups(path):
        name = group.name.rpartition("/")[2]
        said = text_attributes(group)
        splits.add(said.get("split", "none"))
        if split is not None and said.get("split") != split:
            continue
        shown, count = shown_slices(path, group), len(group["slices"])
        left_out += count - len(shown)
        if not shown:
            continue
        numbers = None if len(shown) == count else shown
        shape = (len(shown), *group["slices"].shape[1:])
        volumes.append(
            Volume(
                subject=said.get("subject", subject),
                name=name,
                orientation=orientation_of(name, said.get("orientation")),
                contrast=said.get("contrast", "unknown"),
                attribution=said.get("attribution", ""),
                licence=said.get("license", ""),
                slices_nyx=StoredSlices(path, group.name, shape, numbers)
                if stored
                else group["slices"][:][list(shown)],
                numbers=numbers,
            )
        )
    if left_out:
        log.warning("%d slices of %s show nothing and are left out", left_out, path.name)
    _refuse_namesakes(volumes, path)
    if not volumes:
        raise ConfigurationError(
            f"no slice of split {split!r} in {path} (there: {', '.join(sorted(splits))})"
            if split is not None
            else f"no slice that shows anything in {path}",
            "at least one",
            "choose another split or file",
        )
    return volumes


def _refuse_namesakes(volumes: list[Volume], path: Path) -> None:
    """Two volumes of one subject and name would be taken for one another."""
    names = [(volume.subject, volume.name) for volume in volumes]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ConfigurationError(
            f"two volumes {'/'.join(min(twice))} in {path}",
            "one volume of a name for every subject",
            "correct the attribute subject",
        )
