"""Raw files that libhdf5 2.0 reads for ever: the free space of a global heap (texts, samples) is said to be of size 0.

Format: HDF5 File Format Specification, III.E (Global Heap): GCOL, version, 8 bytes of size at 8, objects from 16 on; an object
has its index in 2 bytes, 6 bytes of other things, its size in 8; index 0 is the free space at the end.
"""

from __future__ import annotations

import struct
from pathlib import Path


def endless(path: Path, heap: int = 0) -> Path:
    """Damage the global heap with this number, as a block of zeros in the file would; the same path."""
    data = bytearray(path.read_bytes())
    start = [at for at in range(0, len(data), 8) if data[at : at + 4] == b"GCOL"][heap]
    at, end = start + 16, start + struct.unpack_from("<Q", data, start + 8)[0]
    while at < end:
        index, size = struct.unpack_from("<H6xQ", data, at)
        if index == 0:
            struct.pack_into("<Q", data, at + 8, 0)
            path.write_bytes(data)
            return path
        at += 16 + (size + 7) // 8 * 8
    raise AssertionError(f"heap {heap} has no free space")
