"""HDF5 files built from the bytes of an input: the places of a raw file with any type, shape and value in them.

The library that reads HDF5 is not what is fuzzed here, but what is made of the types and shapes that it finds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ismrmrd.hdf5 import acquisition_dtype, waveform_dtype

HEADER = (
    '<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><experimentalConditions>'
    "<H1resonanceFrequency_Hz>63870000</H1resonanceFrequency_Hz></experimentalConditions><encoding>"
    "<encodedSpace><matrixSize><x>8</x><y>8</y><z>1</z></matrixSize><fieldOfView_mm><x>8</x><y>8</y><z>8</z>"
    "</fieldOfView_mm></encodedSpace><reconSpace><matrixSize><x>8</x><y>8</y><z>1</z></matrixSize><fieldOfView_mm>"
    "<x>8</x><y>8</y><z>8</z></fieldOfView_mm></reconSpace><encodingLimits/><trajectory>cartesian</trajectory>"
    "</encoding></ismrmrdHeader>"
)
KINDS: tuple[Any, ...] = (
    *(np.dtype(name) for name in ("<c8", "<c16", "<f4", "<f8", "<i4", "u1", "<u8", "S4", "?", "<f2")),
    h5py.string_dtype("utf-8"),
    h5py.special_dtype(vlen=bytes),
    h5py.vlen_dtype(np.float32),
    np.dtype([("a", "<f4"), ("b", "<i2")]),
    np.dtype([("head", "<i4"), ("traj", h5py.vlen_dtype(np.float32)), ("data", h5py.vlen_dtype(np.float32))]),
    np.dtype([("head", acquisition_dtype["head"]), ("data", "<f4", (3,))]),
    np.dtype([("head", acquisition_dtype["head"]), ("traj", "<f4"), ("data", "<f4")]),
    acquisition_dtype,
    waveform_dtype,
    h5py.ref_dtype,
)


class Bytes:
    """The input, byte by byte; zeros behind its end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        self._at += count
        return part.ljust(count, b"\0")

    def below(self, limit: int) -> int:
        return int.from_bytes(self.take(2 if limit > 256 else 1), "little") % limit


def build(path: Path, data: bytes) -> bool:
    """Write a file; False if HDF5 itself does not take what the input asks for."""
    source = Bytes(data)
    try:
        with h5py.File(path, "w") as file:
            (_fastmri if source.below(2) else _ismrmrd)(file, source)
    except (TypeError, ValueError, OSError, OverflowError, RuntimeError, KeyError):
        return False
    return True


def _ismrmrd(file: h5py.File, source: Bytes) -> None:
    group = file.create_group(("dataset", "a/b", "x")[source.below(3)])
    _place(group, "xml", source, lambda: _text(group, "xml"))
    _place(group, "data", source, lambda: _rows(group, "data", acquisition_dtype, source))
    if source.below(2):
        _place(group, "waveforms", source, lambda: _rows(group, "waveforms", waveform_dtype, source))


def _fastmri(file: h5py.File, source: Bytes) -> None:
    _place(file, "ismrmrd_header", source, lambda: file.create_dataset("ismrmrd_header", data=HEADER))
    _place(file, "kspace", source, lambda: _kspace(file, source))
    if source.below(2):
        _place(file, "mask", source, lambda: file.create_dataset("mask", data=np.ones(8, np.float32)))


def _place(group: h5py.Group, name: str, source: Bytes, proper: Callable[[], Any]) -> None:
    """One place of the file: mostly what belongs there, else a group, a type or a shape of another kind."""
    choice = source.below(6)
    if choice == 1:
        group.create_group(name)
    elif choice == 2:
        shape = tuple((0, 1, 2, 8, 1 << 20, 1 << 40)[source.below(6)] for _ in range(source.below(5)))
        group.create_dataset(name, shape=shape, dtype=KINDS[source.below(len(KINDS))])
    elif choice == 3:
        group[name] = h5py.SoftLink(("/nowhere", "/", f"{group.name}/{name}")[source.below(3)])
    elif choice == 4:
        group.create_dataset(name, data=h5py.Empty(KINDS[source.below(10)]))
    else:
        proper()


def _text(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, shape=(1,), dtype=h5py.special_dtype(vlen=bytes))[0] = HEADER.encode()


def _rows(group: h5py.Group, name: str, kind: np.dtype, source: Bytes) -> None:
    """Rows of a raw file: header bytes of the input, lengths that fit or do not."""
    rows = np.empty(source.below(4), kind)
    sizes = (0, 1, 4, 64, 300)
    for number in range(len(rows)):
        head = np.zeros((), kind["head"])
        samples, channels = sizes[source.below(5)], source.below(4)
        head["number_of_samples"] = samples
        head["active_channels" if name == "data" else "channels"] = channels
        raw = bytearray(head.tobytes())
        for _ in range(source.below(3)):
            raw[source.below(len(raw))] = source.below(256)
        rows["head"][number] = np.frombuffer(bytes(raw), kind["head"])[0]
        count = samples * channels * (2 if name == "data" else 1) + source.below(2)
        rows["data"][number] = np.zeros(count, np.float32 if name == "data" else np.uint32)
        if name == "data":
            rows["traj"][number] = np.zeros(source.below(3), np.float32)
    group.create_dataset(name, data=rows)


def _kspace(file: h5py.File, source: Bytes) -> None:
    shape = tuple((8, 1, 2, 0, 7)[source.below(5)] for _ in range(2 + source.below(3)))
    values = np.full(shape, (1 + 1j, 0, np.nan)[source.below(3)], ("<c8", "<c16")[source.below(2)])
    file.create_dataset("kspace", data=values)
