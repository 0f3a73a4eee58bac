"""Painting tissues over one another, each where a distance is negative."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.anatomy.tissue import INDEX, TISSUES

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Place:
    """Points to paint: ``points_n3`` as they lie in space, and (left, anterior, superior) in the schematic
    head.

    ``m`` is |x|, for parts that are mirrored; ``layers`` are slow random fields that vary the thickness of
    the coats.
    """

    points_n3: Array
    x: Array
    a: Array
    s: Array
    layers: tuple[Array, ...]

    @property
    def m(self) -> Array:
        """Distance from the median plane."""
        return np.abs(self.x)

    @property
    def schematic_n3(self) -> Array:
        """The points in the schematic head."""
        return np.stack([self.x, self.a, self.s], -1)


class Canvas:
    """The share of every tissue at every point: ``share`` (tissues, n), air at first; always sums to 1."""

    def __init__(self, points: int, edge_mm: float) -> None:
        self.edge_mm = edge_mm
        self.share = np.zeros((len(TISSUES), points), np.float32)
        self.share[0] = 1

    def paint(self, name: str, distance: Array, edge_mm: float = 0.0, most: float = 1.0) -> None:
        """Cover what is there by ``name`` where ``distance`` (mm) is negative, at most by the share ``most``.

        The edge is linear over ``edge_mm``, or over the width that the sampling needs if that is larger.
        """
        edge = max(edge_mm, self.edge_mm)
        cover = most * np.clip(0.5 - distance / edge, 0, 1).astype(np.float32)
        self.share *= 1 - cover
        self.share[INDEX[name]] += cover
