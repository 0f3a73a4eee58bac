"""What the MRD header says about partitions: the second phase encoding of a 3-D scan, and how many images of it leave.

A 2-D scan has one partition. Headers of open consoles leave limits out, or out of step with the matrix; where the
number of partitions can be told all the same it is, with a sentence in ``notes``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from smug_recon.errors import HeaderError
from smug_recon.gadgets.header.encoding import CORRECT, Lengths, Sizes, count, step_limits

MOST_PARTITIONS = 1024


class Partitions(NamedTuple):
    """Partitions of the encoded matrix, their centre, those kept after slab oversampling, those that leave as images."""

    encoded: int
    centre: int
    kept: int
    images: int
    depth_mm: float
    """Thickness of what is kept, in mm: ``images`` partitions lie in it side by side."""


def partitions(
    encoded: tuple[Sizes, Lengths], recon: tuple[Sizes, Lengths], limits: Any, notes: list[str]
) -> Partitions:
    """Read the partitions from ``(matrix, field of view)`` of both spaces and the encoding limits.

    A matrix z above 1 beside limits of one partition and several slices is a converter's number of slices.

    Raises:
        HeaderError: limits of no sense, more partitions than ``MOST_PARTITIONS``.
    """
    given = step_limits(limits, 2)
    low, high, centre = given or (0, 0, 0)
    lines_z = encoded[0][2]
    if given is not None and high == 0 and lines_z > 1 and count(limits, "slice") > 1:
        notes.append(f"encoded matrix z {lines_z} with one partition and several slices: taken as 2-D")
        lines_z = 1
    if lines_z == 1 and high > low:
        lines_z = high - low + 1
        notes.append(f"encoded matrix z 1, but limits of {lines_z} partitions: taken as 3-D")
    if lines_z > MOST_PARTITIONS:
        raise HeaderError(f"{lines_z} partitions", f"1 to {MOST_PARTITIONS}", CORRECT)
    if lines_z == 1:
        return Partitions(1, 0, 1, 1, recon[1][2])
    if given is None or (high > low and not low < centre <= high) or (high == low and centre == 0):
        if given is not None:
            notes.append(f"the centre of kspace_encoding_step_2 is not filled in: {lines_z // 2} is taken")
        centre = lines_z // 2
    kept, images, depth_mm = lines_z, lines_z, encoded[1][2]
    if recon[0][2] > 1:  # a recon matrix of one partition says nothing about the slab
        depth_mm = min(recon[1][2], encoded[1][2])
        kept = max(1, round(lines_z * depth_mm / encoded[1][2]))
        images = recon[0][2]
    return Partitions(lines_z, centre, kept, images, depth_mm)
