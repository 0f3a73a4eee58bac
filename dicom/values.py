"""From the values of a series to the integers that DICOM stores: one factor for the whole series, never one an image.

| component | classic | Enhanced |
|---|---|---|
| magnitude | unsigned 16 bits; integers as they are, others times one factor | the same |
| phase | unsigned 12 bits, ``2048 + 2048 phi / pi`` as Siemens writes it | the same |
| real, imaginary | signed 16 bits, one factor for both | unsigned 16 bits, 32768 is 0 |

The classic MR object has no rescale slope (PS3.3 table A.4-1). Enhanced MR allows unsigned pixels only, and says in its
real world value mapping how to come back to the values of the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from smug_recon.dicom.kinds import IMAGINARY, MAGNITUDE, PHASE, REAL
from smug_recon.errors import DataError

BRIGHTEST = 32767
"""Where the largest value of a float series lands: it fits signed and unsigned readers."""

HALF_TURN = 2048


@dataclass(frozen=True)
class Coding:
    """How the values of a series are stored: ``stored = round(value * factor) + offset``."""

    component: str
    factor: float
    offset: int
    bits: int
    signed: bool

    @property
    def unit(self) -> tuple[float, float]:
        """Slope and intercept from stored numbers to the values of the image: radian for phase."""
        if self.component == PHASE:
            return math.pi / HALF_TURN, -math.pi
        return 1.0 / self.factor, -self.offset / self.factor

    @property
    def shown(self) -> tuple[float, float]:
        """Slope and intercept of Enhanced MR, whole numbers: viewers that count in integers (DCMTK) apply them.

        Phase becomes -4096 .. 4094 as on Siemens scanners; real and imaginary parts are centred on 0.
        """
        return (2.0, -2.0 * HALF_TURN) if self.component == PHASE else (1.0, float(-self.offset))

    def stored(self, values_yx: np.ndarray) -> np.ndarray:
        """Return the pixels, uint16 or int16; phase wraps round, all else is within range by its factor."""
        if self.factor == 1 and self.offset == 0 and not self.signed and values_yx.dtype == np.uint16:
            return values_yx
        numbers_yx = np.rint(values_yx.astype(np.float64) * self.factor) + self.offset
        if self.component == PHASE:
            numbers_yx = np.mod(numbers_yx, 2 * HALF_TURN)
        low, high = (-32768, 32767) if self.signed else (0, 2**self.bits - 1)
        return np.clip(numbers_yx, low, high).astype(np.int16 if self.signed else np.uint16)


def coding(component: str, largest: float, integers: bool, enhanced: bool) -> Coding:
    """Return the coding of a series with values up to ``largest`` (absolute); DataError if that is not finite.

    For real and imaginary parts ``largest`` is that of both together, so that they can be combined again.
    """
    if not math.isfinite(largest):
        raise DataError(
            f"{component} values that are NaN or infinite", "finite pixels", "reconstruct the images anew"
        )
    if component == PHASE:
        whole = integers and largest > 4  # no radians: 0..4095 is one turn already
        return (
            Coding(PHASE, 1.0, 0, 12, False)
            if whole
            else Coding(PHASE, HALF_TURN / math.pi, HALF_TURN, 12, False)
        )
    if component in (REAL, IMAGINARY):
        factor = BRIGHTEST / largest if largest > 0 else 1.0
        return Coding(component, factor, 32768 if enhanced else 0, 16, not enhanced)
    if integers and largest <= 65535:
        return Coding(MAGNITUDE, 1.0, 0, 16, False)
    return Coding(MAGNITUDE, BRIGHTEST / largest if largest > 0 else 1.0, 0, 16, False)


def window(found: tuple[float, float] | None, code: Coding, pixels: np.ndarray) -> tuple[float, float]:
    """Return centre and width in stored numbers (Enhanced: see :func:`rescaled`): that of the Meta, else 0 to the
    99.5th percentile; the whole turn for phase; symmetric about 0 for real and imaginary parts.
    """
    if code.component == PHASE:
        return float(HALF_TURN), float(2 * HALF_TURN)
    if code.component in (REAL, IMAGINARY):
        spread = max(float(np.percentile(np.abs(pixels.astype(np.float64) - code.offset), 99.5)), 1.0)
        return float(code.offset), 2 * spread
    if found is not None:
        return found[0] * code.factor, max(found[1] * code.factor, 1.0)
    high = max(float(np.percentile(pixels, 99.5)), 2.0)
    return high / 2, high


def rescaled(found: tuple[float, float], code: Coding) -> tuple[float, float]:
    """Return a window after slope and intercept, as a viewer applies it to Enhanced MR."""
    slope, intercept = code.shown
    return found[0] * slope + intercept, found[1] * slope
