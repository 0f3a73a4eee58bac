"""What changes during a scan, so that images that were mixed up do not look alike.

Contrasts are echoes of growing echo time. Over the phases of a cycle the head moves on a small circle and the
signal of perfused tissue (grey matter, blood, with them cerebrospinal fluid) rises and falls; repetitions and
sets change its level, as a contrast agent does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from smug_recon.physics import fft_centred, ifft_centred
from smug_recon.simulation.anatomy.tissue import CONTRASTS, INDEX, Contrast

if TYPE_CHECKING:
    from smug_recon.simulation.protocol.settings import ScanSettings

ECHO_SPACING_MS = 20
PERFUSED = ("grey matter", "csf", "blood")
CIRCLE = 0.012  # radius of the motion over the field of view
REFERENCE = Contrast("reference", "gradient_echo", tr_ms=12, te_ms=3, flip_deg=8)


@dataclass(frozen=True, order=True)
class State:
    """One image of a location: repetition, set, phase and contrast."""

    repetition: int = 0
    set: int = 0
    phase: int = 0
    contrast: int = 0


def states(settings: ScanSettings, repetition: int | None = None) -> Iterator[State]:
    """Yield all states of a scan, or of one repetition, contrasts fastest."""
    repetitions = range(settings.repetitions) if repetition is None else (repetition,)
    for number, a_set, phase, contrast in product(
        repetitions, range(settings.sets), range(settings.phases), range(settings.contrasts)
    ):
        yield State(number, a_set, phase, contrast)


def echo(settings: ScanSettings, contrast: int) -> Contrast:
    """Return the sequence of an echo: that of the scan, its echo time ``contrast * ECHO_SPACING_MS`` later."""
    first = CONTRASTS[settings.contrast]
    return replace(first, te_ms=first.te_ms + contrast * ECHO_SPACING_MS)


def levels(settings: ScanSettings) -> list[NDArray[np.float32]]:
    """Return the signal of every tissue in each image to be rendered.

    The echoes first; then, if the object changes, the perfused tissue alone of each echo; then the external reference
    scan, if there is one.
    """
    wanted = [echo(settings, number).signals() for number in range(settings.contrasts)]
    if settings.changes:
        perfused = np.isin(np.arange(len(wanted[0])), [INDEX[name] for name in PERFUSED])
        wanted += [np.where(perfused, level, 0).astype(np.float32) for level in wanted]
    if settings.calibration == "external":
        wanted.append(REFERENCE.signals())
    return wanted


def gain(state: State, phases: int) -> float:
    """Return by how much more signal perfused tissue gives than in the first state.

    ``0.8 (1 - cos t) / 2 + 1.5 frac(0.618 r) + 0.5 s`` with the angle ``t`` of the phase, repetition ``r``
    and set ``s``: no two of them are alike.
    """
    angle = 2 * math.pi * state.phase / phases
    return 0.4 * (1 - math.cos(angle)) + 1.5 * ((0.618034 * state.repetition) % 1) + 0.5 * state.set


def moved(image_yx: NDArray[np.complex64], phase: int, phases: int) -> NDArray[np.complex64]:
    """Return the image shifted (by the Fourier shift theorem) to its place in a phase of the cycle."""
    if phase == 0:
        return image_yx
    angle, rows = 2 * math.pi * phase / phases, image_yx.shape[0]
    shift_yx = (CIRCLE * rows * math.sin(angle), CIRCLE * rows * (math.cos(angle) - 1))
    kspace = fft_centred(torch.from_numpy(np.ascontiguousarray(image_yx)), [0, 1])
    for axis, (size, shift) in enumerate(zip(image_yx.shape, shift_yx, strict=True)):
        k = torch.arange(size, dtype=torch.float64) - size // 2
        ramp = torch.exp(-2j * math.pi * k * shift / size).to(torch.complex64)
        kspace = kspace * (ramp[:, None] if axis == 0 else ramp[None])
    return ifft_centred(kspace, [0, 1]).numpy()
