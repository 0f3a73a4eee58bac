"""What a folder of ``smug-recon replay`` holds: images, header, timing, and the notebook of the chain where there is one."""

from __future__ import annotations

import json
import logging
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np

from smug_recon.errors import ConfigurationError
from smug_recon.replay.offline import NOTEBOOK_FILE
from smug_recon.replay.results.images import GROUP, groups, image_header, open_dataset
from smug_recon.replay.results.timing import read_timing

log = logging.getLogger(__name__)

LAYOUT = 1
"""Of the notebook; that of another version is left aside."""
COUNTERS = ("slice", "contrast", "phase", "repetition", "set")


@dataclass
class Book:
    """Everything that a report is made of."""

    folder: Path
    header: ismrmrd.xsd.ismrmrdHeader
    series: dict[str, list[dict[str, Any]]]
    """Group name -> what is said of each of its images."""
    timing: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    dated: bool = True

    @property
    def first(self) -> dict[str, Any]:
        """What is said of the first image that the network made, else of the first image."""
        told = [about for images in self.series.values() for about in images]
        return next((about for about in told if about["meta"].get("SmugModelSha256")), told[0])

    def images(self, group: str, wanted: set[int]) -> Iterator[tuple[int, ismrmrd.Image]]:
        """The wanted images of a series, by number."""
        with open_dataset(self.folder / "images.h5", "r") as dataset:
            for number in sorted(wanted):
                yield number, dataset.read_image(group, number)


def read_book(folder: Path) -> Book:
    """Read the folder of a replay; a notebook that cannot be read is left aside with a line in the log.

    Raises:
        ConfigurationError: there are no images in the folder.
    """
    path = folder / "images.h5"
    if not path.is_file():
        raise ConfigurationError(
            f"no images.h5 in {folder}", "the folder of smug-recon replay", "check the path"
        )
    series = {group: told(path, group) for group in groups(path)}
    notes, arrays = read_notebook(folder / NOTEBOOK_FILE)
    return Book(folder, image_header(path), series, read_timing(folder / "timing.json"), notes, arrays)


def without_names(book: Book) -> None:
    """Take out what people wrote into the header, as far as the report would show it, and the date."""
    header, book.dated = book.header, False
    if header.measurementInformation:
        header.measurementInformation.seriesDescription = header.measurementInformation.protocolName = None
    if header.acquisitionSystemInformation:
        header.acquisitionSystemInformation.coilLabel = []


def told(path: Path, group: str) -> list[dict[str, Any]]:
    """Counters and Meta of every image of a series, without the pixels."""
    with h5py.File(path, "r") as file:
        inside = file[GROUP][group]
        heads, attributes, shape = inside["header"][:], inside["attributes"][:], inside["data"].shape[1:]
    found = []
    for head, text in zip(heads, attributes, strict=True):
        meta = ismrmrd.Meta.deserialize(text.decode("utf-8") if isinstance(text, bytes) else str(text))
        counters = {name: int(head[name]) for name in COUNTERS}
        found.append({**counters, "meta": dict(meta), "shape": tuple(shape)})
    return found


def read_notebook(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the chain kept for the report, and its arrays; nothing where there is none."""
    if not path.is_file():
        return {}, {}
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        notes = json.loads(arrays.pop("about").tobytes())
        if notes["layout"] != LAYOUT:
            raise ValueError(f"layout {notes['layout']}")
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        log.warning("%s cannot be read, the report does without: %s", path.name, error)
        return {}, {}
    return notes, arrays
