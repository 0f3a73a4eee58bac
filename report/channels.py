"""The receive channels: noise, signal, and which of them want a look.

A channel is called noisy above twice the median noise level, quiet below half of it, and dead where it records nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from smug_recon.report.book import Book
from smug_recon.report.pictures import correlation

NOISY, QUIET = 2.0, 0.5
"""Noise level relative to the median of the channels."""


@dataclass(frozen=True)
class Channel:
    """One receive channel; levels are relative to the median (noise) or to the strongest channel (signal)."""

    number: int
    label: str
    noise: float | None
    signal: float | None
    level: str
    verdict: str
    left_out: bool = False

    @property
    def noise_percent(self) -> float:
        """Length of its bar, 100 at three times the median."""
        return min(100.0, 100.0 * (self.noise or 0.0) / 3)


def channels(book: Book) -> list[Channel]:
    """Every channel of the noise scan or of the slices, in order."""
    signal = {int(c): float(energy) for c, energy in book.notes.get("signal", {}).items()}
    left_out = {int(c): int(count) for c, count in book.notes.get("left_out", {}).items()}
    noise_c = noise_levels(book)
    labels = coil_labels(book)
    count = max([len(noise_c), *(c + 1 for c in signal), *(c + 1 for c in left_out)], default=0)
    strongest = max(signal.values(), default=0.0)
    slices = int(book.notes.get("slices", 0))
    found = []
    for number in range(count):
        noise = float(noise_c[number]) if number < len(noise_c) else None
        relative = (signal[number] / strongest) ** 0.5 if strongest and number in signal else None
        level, verdict = judged(noise, left_out.get(number, 0), slices)
        found.append(
            Channel(number, labels.get(number, ""), noise, relative, level, verdict, number in left_out)
        )
    return found


def judged(noise: float | None, left_out: int, slices: int) -> tuple[str, str]:
    """Level (good, care, bad) and verdict of a channel."""
    if left_out and left_out == slices:
        return "bad", "no signal, left out"
    if noise is not None and noise <= 1e-6:
        return "bad", "no noise: dead"
    if left_out:
        return "care", f"left out of {left_out} of {slices} slices"
    if noise is not None and noise > NOISY:
        return "care", f"noisy, {noise:.1f} × the median"
    if noise is not None and noise < QUIET:
        return "care", f"quiet, {noise:.2f} × the median"
    return "good", "fine"


def noise_levels(book: Book) -> np.ndarray:
    """Standard deviation of the noise of every channel over the median of those that have any; empty without a scan."""
    covariance_cc = book.arrays.get("covariance_cc")
    if covariance_cc is None:
        return np.zeros(0)
    deviation_c = np.sqrt(np.clip(np.real(np.diag(covariance_cc)), 0, None))
    alive = deviation_c[deviation_c > 1e-6 * deviation_c.max()]
    return deviation_c / np.median(alive) if alive.size else deviation_c


def strongest_pair(book: Book) -> tuple[int, int, float] | None:
    """The two channels whose noise has most in common, and how much (0 to 1)."""
    covariance_cc = book.arrays.get("covariance_cc")
    if covariance_cc is None or len(covariance_cc) < 2:
        return None
    between = np.triu(correlation(covariance_cc), 1)
    i, j = np.unravel_index(int(np.argmax(between)), between.shape)
    return int(i), int(j), float(between[i, j])


def coil_labels(book: Book) -> dict[int, str]:
    """The names of the channels in the MRD header."""
    system: Any = book.header.acquisitionSystemInformation
    return {int(coil.coilNumber): str(coil.coilName)[:24] for coil in (system.coilLabel if system else [])}
