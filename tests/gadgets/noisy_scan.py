"""A small scan of correlated noise, and when two runs over it gave the same images."""

from __future__ import annotations

import ismrmrd
import numpy as np
from small_scan import SmallScan

from smug_recon.gadgets.images.attributes import TIMING


def scan_of(slices: int = 3, last: bool = True) -> SmallScan:
    scan = SmallScan(noise_root=np.diag([1.0, 2.0, 1.5, 0.5]) @ (np.eye(4) + 0.2j))
    scan.add_noise_scan()
    for index in range(slices):
        scan.add_slice(index, last=last)
    return scan


def untimed(image: ismrmrd.Image) -> bytes:
    """Header, Meta and pixels without the one entry that tells how long it took."""
    copy = ismrmrd.Image.from_bytes(image.to_bytes())
    assert copy.meta.pop(TIMING, None)
    return bytes(copy.to_bytes())


def same(one: list[ismrmrd.Image], two: list[ismrmrd.Image]) -> bool:
    return len(one) == len(two) and all(untimed(a) == untimed(b) for a, b in zip(one, two, strict=True))
