"""HDF5 files that are damaged, or made to do damage: what the library makes of them becomes one kind of error.

h5py answers a damaged file with nearly every exception there is, makes room for what a table claims, and with members
that overlap in a compound type it writes outside its memory. So types and claims are checked before anything is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np

from smug_recon.errors import DataError, SmugReconError

DAMAGED = "the file is damaged or was not copied completely: copy or convert it again"
BEST_COMPRESSION = 1100
"""No filter of HDF5 packs tighter than deflate, 1032 to 1: a table that claims more was never written."""
PIECE_BYTES, PIECE_ROWS = 16 << 20, 1024
"""Read at once: values of a fixed size, rows with texts or tables of any length in them."""
SMALL = 1 << 12
"""Bytes that a table may claim whatever is stored of it."""

_FROM_H5PY = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """DataError for whatever the library raises while ``what`` is read."""
    try:
        yield
    except SmugReconError:
        raise
    except _FROM_H5PY as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{what} that cannot be read ({reason})", "a whole HDF5 raw file", DAMAGED) from None


def dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    """The dataset of this name, of which no more is claimed than can have been stored; DataError."""
    with reading(name):
        found = group[name]
        if not isinstance(found, h5py.Dataset) or found.shape is None:
            raise DataError(f"{name} without values", "a dataset", DAMAGED)
        claimed, stored = int(found.size) * found.dtype.itemsize, int(found.id.get_storage_size())
        if claimed > BEST_COMPRESSION * max(stored, SMALL):
            raise DataError(
                f"{name} of {claimed} bytes, {stored} of them stored", "what was recorded", DAMAGED
            )
        return found


def table(group: h5py.Group, name: str, value_type: str) -> h5py.Dataset:
    """A table of rows: fixed ``head``, ``data`` (and ``traj``) of varying length; DataError for any other type."""
    found = dataset(group, name)
    kind = found.dtype
    values = [part for part in kind.names or () if part != "head"]
    fits = (
        found.ndim == 1
        and {"head", "data"} <= set(kind.names or ())
        and kind["head"].names is not None
        and not kind["head"].hasobject
        and all(
            h5py.check_vlen_dtype(kind[part]) == np.dtype(value_type) for part in values if part == "data"
        )
        and all(h5py.check_vlen_dtype(kind[part]) is not None for part in values)
    )
    if not fits or _overlapping(kind):
        raise DataError(
            f"{name} of the type {str(kind)[:120]}",
            "rows of an ISMRMRD header and its samples",
            "convert the raw file again with a current converter",
        )
    return found


def every_value(file: h5py.File) -> Iterator[None]:
    """Read all datasets and attributes of a file and keep none, piece by piece; DataError."""
    places: list[str] = []
    with reading("the groups"):
        file.visititems(lambda name, item: places.append(name) if isinstance(item, h5py.Dataset) else None)
        list(file.attrs.items())
    for place in places:
        with reading(place):
            if isinstance(file[place].shape, tuple):  # else a dataset without values
                found = dataset(file, place)
                if _overlapping(found.dtype):
                    raise DataError(
                        f"{place} of the type {str(found.dtype)[:120]}", "members side by side", DAMAGED
                    )
                list(found.attrs.items())
                yield from _every_row(found)


def _every_row(found: h5py.Dataset) -> Iterator[None]:
    if not found.ndim or not found.size:
        found[()]
        return
    row_bytes = max(found.size // len(found) * found.dtype.itemsize, 1)
    most = PIECE_ROWS if found.dtype.hasobject else PIECE_BYTES // row_bytes + 1
    for start in range(0, len(found), most):
        found[start : start + most]
        yield


def _overlapping(kind: Any) -> bool:
    """Whether members of a compound type, at any depth, share bytes."""
    if kind.subdtype is not None:
        return _overlapping(kind.subdtype[0])
    if kind.names is None:
        return False
    places = sorted((place, part.itemsize) for part, place, *_ in kind.fields.values())
    ends = [0, *(place + size for place, size in places)]
    return any(place < end for (place, _), end in zip(places, ends, strict=False)) or any(
        _overlapping(part) for part, *_ in kind.fields.values()
    )
