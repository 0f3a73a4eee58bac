"""DICOM files as they are given to be sent: which there are, and what identifies each."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, MediaStorageDirectoryStorage

from smug_recon.errors import DataError

log = logging.getLogger(__name__)

BLOCK = 2**20


@dataclass(frozen=True)
class Instance:
    """What is known of a file without looking at patient or pixels; ``digest`` is the SHA-256 of its bytes."""

    path: Path
    uid: str
    sop_class: str
    syntax: str
    digest: str
    size: int


def quiet() -> None:
    """Keep pydicom and pynetdicom from quoting values of data sets in warnings and in the log."""
    for name in ("pydicom", "pynetdicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"pydicom($|\.)")


def dicom_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files named, and of folders every file in them that begins like DICOM; DataError for what is not there."""
    for path in paths:
        if path.is_dir():
            inside = [each for each in sorted(path.rglob("*")) if each.is_file() and looks_like_dicom(each)]
            if not inside:
                raise DataError(
                    "a folder without DICOM files", "files with DICM at byte 128", "check the path"
                )
            yield from (each for each in inside if each.name.upper() != "DICOMDIR")
        else:
            yield path


def looks_like_dicom(path: Path) -> bool:
    """Whether the file has the prefix of PS3.10."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def instance(path: Path) -> Instance:
    """Read the identity of a file; DataError if it is no DICOM file that can be stored."""
    try:
        meta = pydicom.dcmread(
            path,
            stop_before_pixels=True,
            specific_tags=["SOPClassUID", "SOPInstanceUID"],
        )
        uid, sop_class = str(meta.SOPInstanceUID), str(meta.SOPClassUID)
        syntax = str(meta.file_meta.TransferSyntaxUID)
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                size += len(block)
    except (OSError, InvalidDicomError, AttributeError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise DataError(
            f"{path.name}, which is no DICOM file that can be sent ({reason})",
            "a file with SOP class, SOP instance and transfer syntax",
            "send files of smug-recon dicom or replay",
        ) from None
    for found in (uid, sop_class, syntax):
        if not UID(found).is_valid:
            raise DataError(f"an invalid UID in {path.name}", "digits and dots", "write the file again")
    if sop_class == MediaStorageDirectoryStorage:
        raise DataError(f"{path.name}, which is a directory of files", "images", "send the images")
    return Instance(path, uid, sop_class, syntax, digest.hexdigest(), size)
