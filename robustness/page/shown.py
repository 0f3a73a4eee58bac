"""The numbers of a figure, before anything is drawn: what :mod:`smug_recon.robustness.page.drawing` draws and nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Value:
    """A mean and its interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """Values of one method, or of one family of methods, over x."""

    label: str
    x: tuple[float, ...]
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Panel:
    """The lines of one panel; ``levels`` are values that do not depend on x."""

    title: str
    metric: str
    lines: tuple[Line, ...]
    levels: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True)
class Curves:
    """Panels side by side."""

    panels: tuple[Panel, ...]
    scale: str
    x_label: str
    y_label: str
    slices: str


@dataclass(frozen=True)
class TradeOff:
    """One point a method. ``reference``: the method to which both values are differences, at (0, 0) by definition."""

    points: tuple[tuple[str, Value, Value], ...]
    reference: str
    x_label: str
    y_label: str
    slices: str


@dataclass(frozen=True)
class Figure:
    """A declared figure with its numbers."""

    file: str
    title: str
    shown: Curves | TradeOff

    @property
    def digest(self) -> str:
        """Hash of all that is shown; the picture carries it, so that one drawn from other numbers is told."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]
