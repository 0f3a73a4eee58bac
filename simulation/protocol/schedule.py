"""The order of acquisition: every readout of a scan, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.anatomy.tissue import CONTRASTS
from smug_recon.simulation.protocol.dynamics import ECHO_SPACING_MS, REFERENCE, State
from smug_recon.simulation.protocol.layout import Layout
from smug_recon.simulation.protocol.masks import centre_block

if TYPE_CHECKING:
    from smug_recon.simulation.protocol.settings import ScanSettings

NOISE, IMAGING, REFERENCE_SCAN, EXTRA = "noise", "imaging", "reference", "extra"
NOISE_READOUTS = 32
FIRST = State()
DIMENSIONS = ("CONTRAST", "PHASE", "SET", "AVERAGE", "REPETITION")
EXTRA_EVERY = 8  # imaging readouts from one navigator or feedback readout to the next
EXTRA_FLAGS = {
    "dummy": ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    "surface-coil": ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
    "phase-correction": ismrmrd.ACQ_IS_PHASECORR_DATA,
    "navigator": ismrmrd.ACQ_IS_NAVIGATION_DATA,
    "feedback": ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
}


@dataclass(frozen=True)
class Line:
    """One readout to come: its kind, encoding steps, slice, state, flags and time.

    ``step`` and ``partition`` count the acquired lines from 0, as the readout's header does.
    """

    kind: str
    step: int
    slice_number: int
    flags: tuple[int, ...]
    time_ms: float
    partition: int = 0
    state: State = FIRST
    average: int = 0
    segment: int = 0
    reverse: bool = False

    @property
    def is_navigator(self) -> bool:
        """Whether this readout is a navigator."""
        return ismrmrd.ACQ_IS_NAVIGATION_DATA in self.flags


def calibration_positions(settings: ScanSettings, layout: Layout) -> list[tuple[int, int]]:
    """Return the encoding steps (partition, line) of the calibration block, partitions fastest."""
    block_y = centre_block(layout.acquired_y, min(settings.acs, layout.acquired_y), layout.centre_y)
    block_z = centre_block(layout.partitions_z, layout.acs_z, layout.partitions_z // 2)
    return [(int(z), int(y)) for y in np.flatnonzero(block_y) for z in np.flatnonzero(block_z)]


def schedule(settings: ScanSettings, layout: Layout, mask_zy: NDArray[np.bool_]) -> Iterator[Line]:
    """Yield every readout of the scan in the order of acquisition; the last one ends the measurement.

    Noise; reference lines; then, from slow to fast, repetitions, sets, averages, groups of slices, lines,
    partitions, the slices that take turns, phases, contrasts.
    """
    held = None
    for line in _with_extra(_lines(settings, layout, mask_zy), settings, layout):
        if held is not None:
            yield held
        held = line
    assert held is not None
    ends = (ismrmrd.ACQ_LAST_IN_REPETITION, ismrmrd.ACQ_LAST_IN_MEASUREMENT)
    yield replace(held, flags=(*held.flags, *(flag for flag in ends if flag not in held.flags)))


def _lines(settings: ScanSettings, layout: Layout, mask_zy: NDArray[np.bool_]) -> Iterator[Line]:
    if settings.noise_scan:
        for number in range(NOISE_READOUTS):
            yield Line(NOISE, 0, 0, (ismrmrd.ACQ_IS_NOISE_MEASUREMENT,), 20.0 * number)
    time_ms = 1000.0
    block = calibration_positions(settings, layout)
    if settings.calibration in ("separate", "external") and block:
        kind = REFERENCE_SCAN if settings.calibration == "external" else IMAGING
        tr_ms = REFERENCE.tr_ms if kind == REFERENCE_SCAN else CONTRASTS[settings.contrast].tr_ms
        origin = block[0] if kind == REFERENCE_SCAN else (0, 0)  # its steps count from its own first line
        for group in _groups(settings):
            for z, y in block:
                for turn, number in enumerate(group):
                    yield Line(
                        kind,
                        y - origin[1],
                        number,
                        (ismrmrd.ACQ_IS_PARALLEL_CALIBRATION,),
                        time_ms + tr_ms * turn / len(group),
                        z - origin[0],
                    )
                time_ms += tr_ms
    tr_ms = CONTRASTS[settings.contrast].tr_ms
    steps = [(int(z), int(y)) for y, z in np.argwhere(mask_zy.T)]
    embedded = set(block) if settings.calibration == "embedded" and settings.acceleration > 1 else set()
    for repetition in range(settings.repetitions):
        for a_set in range(settings.sets):
            for average in range(settings.averages):
                for group in _groups(settings):
                    for number, step in enumerate(steps):
                        ends = (number == 0, number == len(steps) - 1)
                        first = Line(
                            IMAGING,
                            step[1],
                            0,
                            (ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING,) if step in embedded else (),
                            time_ms,
                            step[0],
                            State(repetition, a_set),
                            average,
                            number * settings.segments // len(steps),
                            settings.reversed_lines and number % 2 == 1,
                        )
                        yield from _one_step(settings, group, first, tr_ms, ends)
                        time_ms += tr_ms


def _groups(settings: ScanSettings) -> list[list[int]]:
    """Return groups of slices that take turns line by line: even numbers first, as scanners do against cross-
    talk.
    """
    if settings.interleaved:
        return [[*range(0, settings.slices, 2), *range(1, settings.slices, 2)]]
    return [[number] for number in range(settings.slices)]


def _one_step(
    settings: ScanSettings, group: list[int], first: Line, tr_ms: float, ends: tuple[bool, bool]
) -> Iterator[Line]:
    """Yield one encoding step of all slices, phases and contrasts of a group; ``ends`` of their lines."""
    for turn, number in enumerate(group):
        for phase in range(settings.phases):
            for contrast in range(settings.contrasts):
                state = replace(first.state, phase=phase, contrast=contrast)
                flags = list(first.flags)
                if ends[0] and first.average == 0:
                    flags += _end_flags("FIRST", settings)
                if ends[1] and first.average == settings.averages - 1:
                    flags += _end_flags("LAST", settings)
                share = (turn + phase / settings.phases) / len(group)
                time_ms = first.time_ms + tr_ms * share + ECHO_SPACING_MS * contrast
                yield replace(first, slice_number=number, state=state, flags=tuple(flags), time_ms=time_ms)


def _end_flags(which: str, settings: ScanSettings) -> list[int]:
    """Return the flags of the first or last line of an image, with those of the dimensions the scan has."""
    names = ["ENCODE_STEP1", "SLICE"] + (["ENCODE_STEP2"] if settings.three_dimensional else [])
    names += [name for name in DIMENSIONS[:-1] if getattr(settings, name.lower() + "s") > 1]
    return [getattr(ismrmrd, f"ACQ_{which}_IN_{name}") for name in names]


def _with_extra(lines: Iterator[Line], settings: ScanSettings, layout: Layout) -> Iterator[Line]:
    """Put readouts that carry no image line between the others.

    Dummy and surface-coil readouts come before the first line, three phase-correction readouts before the
    first line of every image, a navigator and a feedback readout before every ``EXTRA_EVERY``-th line.
    """
    names, count = settings.extra_lines, 0
    for line in lines:
        found: list[str] = []
        if line.kind == IMAGING:
            if count == 0:
                found += [name for name in ("dummy", "surface-coil") if name in names for _ in range(4)]
            if "phase-correction" in names and ismrmrd.ACQ_FIRST_IN_SLICE in line.flags:
                found += ["phase-correction"] * 3
            if count % EXTRA_EVERY == 0:
                found += [name for name in ("navigator", "feedback") if name in names]
            count += 1
        for name in found:
            yield replace(
                line,
                kind=EXTRA,
                flags=(EXTRA_FLAGS[name],),
                step=layout.centre_y,
                partition=layout.partitions_z // 2,
                reverse=False,
            )
        yield line
