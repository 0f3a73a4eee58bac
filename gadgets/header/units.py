"""Slips of unit in the MRD header and in the dwell times: mended where they are certain, else reported or refused."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import ismrmrd

from smug_recon.errors import DataError, HeaderError
from smug_recon.gadgets.flow.items import NOISE, not_imaging
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.encoding import CORRECT, number

LARGEST_FOV_MM = 2000.0
METRES_BELOW_MM = 1.0
"""A field of view below this, with voxels below SMALLEST_VOXEL_MM, is in metres."""
SMALLEST_VOXEL_MM = 0.02
SMALL_VOXEL_MM = 0.15
HZ_PER_T = 42.577e6
DWELL_US = (0.02, 500.0)
"""Dwell times that receivers have, in us."""
MOST_DWELL_RATIO = 100.0
"""Between noise scan and image; more is a slip of unit in one of the two."""


def correct_units(header: Any) -> tuple[Any, list[str]]:
    """Return the header with certain slips of unit mended, and a sentence for each slip, mended or only suspected.

    Fields of view in metres become mm; field strength and frequency are brought together if they differ by a power
    of ten that is a unit. The header given is not changed; without a slip it is returned itself.

    Raises:
        HeaderError: a field of view of more than 2 m.
    """
    made, notes = copy.deepcopy(header), []
    for which, encoding in enumerate(getattr(made, "encoding", None) or []):
        for name in ("encodedSpace", "reconSpace"):
            notes += _field_of_view(getattr(encoding, name, None), f"{name} of encoding {which}")
    notes += _field_strength(made) + _sequence(made)
    return (made, notes) if notes else (header, [])


def _field_of_view(space: Any, name: str) -> list[str]:
    fov, matrix = getattr(space, "fieldOfView_mm", None), getattr(space, "matrixSize", None)
    if fov is None or matrix is None:
        return []
    lengths = [number(fov.x), number(fov.y)]
    sizes = [number(matrix.x), number(matrix.y)]
    if any(value is None or value <= 0 for value in lengths + sizes):
        return []  # the check of the encoding speaks up
    largest = max(length or 0.0 for length in lengths)
    voxels = [(length or 0.0) / (size or 1.0) for length, size in zip(lengths, sizes, strict=True)]
    if largest > LARGEST_FOV_MM:
        raise HeaderError(
            f"a field of view of {largest:g} mm ({name})",
            f"at most {LARGEST_FOV_MM:g} mm",
            f"it may be in micrometres: {CORRECT}",
        )
    if largest < METRES_BELOW_MM and max(voxels) < SMALLEST_VOXEL_MM:
        fov.x, fov.y = (1000 * (length or 0.0) for length in lengths)
        depth = number(fov.z)
        if depth is not None and depth < METRES_BELOW_MM:
            fov.z = 1000 * depth
        return [
            f"fieldOfView_mm of {name} is in metres: taken as {fov.x:g} x {fov.y:g} mm (positions may be too)"
        ]
    if max(voxels) < SMALL_VOXEL_MM:
        return [
            f"voxels of {voxels[0]:.3g} x {voxels[1]:.3g} mm in {name}: is fieldOfView_mm in cm? It is taken as mm"
        ]
    return []


def _field_strength(header: Any) -> list[str]:
    """Field strength in T and frequency in Hz, each in the unit in which it fits the other (1H)."""
    conditions, system = header.experimentalConditions, header.acquisitionSystemInformation
    given_hz = number(getattr(conditions, "H1resonanceFrequency_Hz", None))
    given_t = number(getattr(system, "systemFieldStrength_T", None))
    if not given_hz or given_hz <= 0:
        return []
    if not given_t or given_t <= 0:
        return [f"H1resonanceFrequency_Hz = {given_hz:g}: is it in MHz?"] if given_hz < 1e4 else []
    for factor_t, unit_t in ((1.0, ""), (1e-3, "mT"), (1e-4, "gauss")):
        for factor_hz, unit_hz in ((1.0, ""), (1e3, "kHz"), (1e6, "MHz")):
            hz, tesla = given_hz * factor_hz, given_t * factor_t
            likely = 0.02 < tesla < 25 or not (unit_hz or unit_t)
            if likely and abs(hz / (tesla * HZ_PER_T) - 1) < 0.1:
                return _brought_together(conditions, system, (hz, unit_hz), (tesla, unit_t))
    return [
        f"{given_t:g} T and {given_hz:g} Hz do not belong together (1H: 42.58 MHz/T): a unit may be wrong"
    ]


def _brought_together(
    conditions: Any, system: Any, hz: tuple[float, str], tesla: tuple[float, str]
) -> list[str]:
    notes = []
    if hz[1]:
        conditions.H1resonanceFrequency_Hz = round(hz[0])
        notes.append(f"H1resonanceFrequency_Hz is in {hz[1]}: taken as {hz[0]:.0f} Hz")
    if tesla[1]:
        system.systemFieldStrength_T = tesla[0]
        notes.append(f"systemFieldStrength_T is in {tesla[1]}: taken as {tesla[0]:g} T")
    return notes


def _sequence(header: Any) -> list[str]:
    """Times that no sequence has; they do not touch the pixels and are only reported."""
    sequence = getattr(header, "sequenceParameters", None)

    def times(name: str) -> list[float]:
        values = [number(value) for value in getattr(sequence, name, None) or []]
        return [value for value in values if value is not None and value > 0]

    echo, repetition, notes = times("TE"), times("TR"), []
    if echo and min(echo) < 0.02:
        notes.append(f"TE of {min(echo):g} ms: is it in seconds?")
    if echo and max(echo) > 2000:
        notes.append(f"TE of {max(echo):g} ms: is it in microseconds?")
    if repetition and max(repetition) < 1:
        notes.append(f"TR of {max(repetition):g} ms: is it in seconds?")
    if repetition and min(repetition) > 100_000:
        notes.append(f"TR of {min(repetition):g} ms: is it in microseconds?")
    if echo and repetition and not notes and min(echo) > max(repetition):
        notes.append(f"TE of {min(echo):g} ms and TR of {max(repetition):g} ms: one of them has another unit")
    return notes


def watch_dwell_times(items: Iterable[Any], report: Report) -> Iterator[Any]:
    """Pass all items on; warn of a dwell time that no receiver has.

    Raises:
        DataError: noise scan and image in different units (their ratio scales the whitened data).
    """
    dwells: dict[bool, float] = {}  # of the noise scan (True), of the image (False)
    for item in items:
        if len(dwells) < 2 and isinstance(item, ismrmrd.Acquisition):
            noise, dwell_us = bool(item.flags & NOISE), float(item.sample_time_us)
            if noise not in dwells and dwell_us > 0 and (noise or not_imaging(item) is None):
                dwells[noise] = dwell_us
                for text in dwell_notes(dwells):
                    report.warn(text)
        yield item


def dwell_notes(dwells: dict[bool, float]) -> list[str]:
    """Return what is odd about the dwell times of noise scan (key True) and image (False), in us.

    Raises:
        DataError: they differ by more than 100.
    """
    if len(dwells) == 2 and not 1 / MOST_DWELL_RATIO < dwells[True] / dwells[False] < MOST_DWELL_RATIO:
        raise DataError(
            f"sample_time_us of {dwells[True]:g} in the noise scan and {dwells[False]:g} in the image",
            "dwell times of one unit, us",
            "correct sample_time_us in the converter, or set prewhitening: false",
        )
    odd = [value for value in dwells.values() if not DWELL_US[0] <= value <= DWELL_US[1]]
    return [f"sample_time_us of {value:g}: it is no dwell time in microseconds" for value in odd]
