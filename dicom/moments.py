"""When a frame was acquired: time of day, trigger delay, place in a time series."""

from __future__ import annotations

from collections.abc import Sequence

import ismrmrd
import numpy as np

TICK_MS = 2.5
"""One tick of the MRD time stamps, Siemens' clock; the converters of other vendors' data follow it where they set them."""

DAY_MS = 24 * 3600 * 1000

Moment = tuple[int, int, int]
"""Repetition, set and cardiac phase: what runs while the same slices are imaged again."""


def moment(image: ismrmrd.Image) -> Moment:
    """The counters of an image that run with time."""
    return int(image.repetition), int(image.set), int(image.phase)


def acquisition_time(image: ismrmrd.Image) -> str | None:
    """Time of day of an MRD time stamp, ticks since midnight, as HHMMSS.FFFFFF; None if it is no time of day."""
    ms = int(image.acquisition_time_stamp) * TICK_MS
    if not 0 < ms < DAY_MS:
        return None
    seconds, rest = divmod(round(ms * 1000), 1_000_000)
    return f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}.{rest:06d}"


def trigger_ms(image: ismrmrd.Image) -> float | None:
    """Time since the trigger, from the first physiology time stamp; None if it is not set."""
    ticks = int(image.physiology_time_stamp[0])
    return ticks * TICK_MS if ticks > 0 else None


def trigger_times_ms(images: Sequence[ismrmrd.Image]) -> dict[int, float]:
    """Trigger delay of every cardiac phase: the mean over its slices; empty unless every phase but the first, which
    may lie at the trigger itself, has one and they rise with the phase."""
    found: dict[int, list[float]] = {}
    for image in images:
        found.setdefault(int(image.phase), []).append(trigger_ms(image) or 0.0)
    means = {phase: float(np.mean(values)) for phase, values in sorted(found.items())}
    steps = np.diff(list(means.values()))
    return means if len(means) > 1 and bool((steps > 0).all()) else {}


def resolution_ms(images: Sequence[ismrmrd.Image]) -> float | None:
    """Median time from one repetition to the next; None for one repetition or without time stamps."""
    starts: dict[int, int] = {}
    for image in images:
        ticks, repetition = int(image.acquisition_time_stamp), int(image.repetition)
        starts[repetition] = min(ticks, starts.get(repetition, ticks))
    steps = np.diff([starts[repetition] for repetition in sorted(starts)])
    return float(np.median(steps)) * TICK_MS if len(steps) and bool((steps > 0).all()) else None
