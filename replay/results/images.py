"""``images.h5``: the images that came back, one group per series, as ismrmrd reads them."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import h5py
import ismrmrd
import numpy as np

from smug_recon.errors import ConfigurationError, DataError, OutputError
from smug_recon.replay.messages.header import parse_header
from smug_recon.replay.results.disk import check_room, written_to

GROUP = "dataset"

log = logging.getLogger(__name__)


def open_dataset(path: Path, mode: str, group: str = GROUP) -> ismrmrd.Dataset:
    """Open an ISMRMRD HDF5 file: ``r``, ``w`` (a new file) or ``a``, with any ismrmrd; before 1.15 ``r`` needs a writable file."""
    if "mode" in inspect.signature(ismrmrd.Dataset).parameters:
        return ismrmrd.Dataset(str(path), group, mode=mode)
    if mode == "w":
        path.unlink(missing_ok=True)
    return ismrmrd.Dataset(str(path), group, create_if_needed=mode != "r")


class ImageFile:
    """Write images as they arrive to ``images.incomplete.h5``; ``finish`` gives the file its name.

    A run that fails after its first image leaves the incomplete file; one without images, and one whose disk is full,
    leave none.
    """

    def __init__(self, path: Path, header_xml: bytes) -> None:
        self.path = path
        self.incomplete = path.with_name(f"{path.stem}.incomplete{path.suffix}")
        self.counts: dict[str, int] = {}
        self._layouts: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
        self._broken = False
        with self._writing():
            check_room(path.parent, len(header_xml))
            self._dataset = open_dataset(self.incomplete, "w")
            self._dataset.write_xml_header(header_xml)

    def __enter__(self) -> ImageFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._broken:
            with self._writing():
                self._dataset.close()
        if not self.counts:
            self.incomplete.unlink(missing_ok=True)

    def append(self, image: ismrmrd.Image) -> str:
        """Add an image to the group of its series (``images_1`` ...) and return the group's name."""
        layout = (image.data.shape, image.data.dtype)
        series = f"images_{image.image_series_index}"
        group, other = series, 1
        while self._layouts.setdefault(group, layout) != layout:
            other += 1
            group = f"{series}_{other}"  # another matrix or type under the same series index
        with self._writing():
            check_room(self.path.parent, image.data.nbytes)
            self._dataset.append_image(group, image)
        self.counts[group] = self.counts.get(group, 0) + 1
        return group

    def finish(self) -> None:
        """Close the file and put it in the place of an earlier one, in one step."""
        with self._writing():
            self._dataset.close()
            self.incomplete.replace(self.path)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with written_to(self.path.parent):
                yield
        except OutputError:
            if not self._broken:
                self._broken = True
                with contextlib.suppress(Exception):  # what a full disk does not take is not wanted any more
                    self._dataset.close()
            raise


def read_images(path: Path, group: str) -> Iterator[ismrmrd.Image]:
    """The images of one series of an ``images.h5``; DataError if it has no such series."""
    with open_dataset(path, "r") as dataset:
        if group not in dataset.list():
            raise DataError(
                f"no series {group} in {path.name}", f"one of {list(dataset.list())}", "check the name"
            )
        for number in range(dataset.number_of_images(group)):
            yield dataset.read_image(group, number)


def groups(path: Path, wanted: Sequence[str] = ()) -> list[str]:
    """The series of an ``images.h5``, or the wanted ones; ConfigurationError if one is missing or it has none."""
    if not h5py.is_hdf5(path):
        raise ConfigurationError(f"{path.name}, which is no HDF5 file", "images.h5", "check the path")
    with h5py.File(path, "r") as file:
        inside = file.get(GROUP)
        found = [] if inside is None else sorted(name for name in inside if name.startswith("image"))
    wrong = [name for name in wanted if name not in found]
    if wrong or not found:
        raise ConfigurationError(
            f"no series {', '.join(wrong) or 'of images'} in {path.name}",
            f"one of {', '.join(found)}" if found else "images.h5 of smug-recon replay",
            "change --series" if found else "give the file with the images",
        )
    return list(wanted) or found


def image_header(path: Path) -> ismrmrd.xsd.ismrmrdHeader:
    """The MRD header that lies beside the images; an empty one, with a line in the log, where there is none."""
    with open_dataset(path, "r") as dataset:
        try:
            xml = dataset.read_xml_header()
        except (KeyError, LookupError):
            log.warning("no MRD header in %s: patient, study and sequence stay empty", path.name)
            conditions = ismrmrd.xsd.experimentalConditionsType(H1resonanceFrequency_Hz=0)
            return ismrmrd.xsd.ismrmrdHeader(experimentalConditions=conditions)
    return parse_header(bytes(xml))[0]
