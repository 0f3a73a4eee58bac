"""Images sorted into series: frames in the order volume by volume, slices along their normal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import ismrmrd
import numpy as np

from smug_recon.dicom.geometry import Plane, plane
from smug_recon.dicom.kinds import IMAGINARY, MAGNITUDE, REAL, Kind, meta_text, parts
from smug_recon.dicom.moments import Moment, moment, resolution_ms, trigger_times_ms
from smug_recon.errors import DataError

SAME_MM = 0.01
"""Planes closer than this are the same place."""


@dataclass
class Frame:
    """One plane of pixels. ``values_yx`` are those of the image; ``place`` counts places along the normal from 0."""

    image: ismrmrd.Image
    values_yx: np.ndarray
    where: Plane
    place: int = 0
    time: int = 0

    @property
    def contrast(self) -> int:
        """Echo number from 0."""
        return int(self.image.contrast)


@dataclass
class Series:
    """The frames of one kind, and what they say together."""

    kind: Kind
    frames: list[Frame]
    number: int = 0
    largest: float = 0.0
    spacing_mm: float | None = None
    places: int = 1
    times: list[Moment] = field(default_factory=list)
    trigger_ms: dict[int, float] = field(default_factory=dict)
    resolution_ms: float | None = None
    digest: bytes = b""

    @property
    def cine(self) -> bool:
        """Whether there are several cardiac phases."""
        return len({phase for _, _, phase in self.times}) > 1

    @property
    def echoes(self) -> list[int]:
        """The contrasts that occur."""
        return sorted({frame.contrast for frame in self.frames})

    @property
    def integers(self) -> bool:
        """Whether the pixels came as integers from 0."""
        return all(frame.values_yx.dtype.kind == "u" for frame in self.frames)

    @property
    def description(self) -> str:
        """SeriesDescription: that of the images, with the component where it is not the magnitude."""
        image = self.frames[0].image
        text = meta_text(image, "SeriesDescription", "GADGETRON_SeriesDescription") or "SMUG"
        extra = "" if self.kind.component == MAGNITUDE else self.kind.component
        if self.kind.uncertainty and "uncertain" not in text.lower():
            extra = "uncertainty"
        return f"{text[: 63 - len(extra)]} {extra}".strip()


def series_of(images: Iterable[ismrmrd.Image], wanted: Sequence[str], first_number: int) -> list[Series]:
    """Sort images into series with numbers of their own.

    Series number: ``100 first + MRD series index``, + 10 for fallback images, + 20 for phase, + 40 real, + 60
    imaginary, + 5 for the uncertainty where it shares its index with the image; the next free one if that is taken.

    Raises:
        DataError: an image without a field of view.
    """
    found: dict[Kind, list[Frame]] = {}
    digest = hashlib.sha256()
    for image in images:
        digest.update(image.to_bytes())
        if not all(float(size) > 0 for size in image.field_of_view):
            raise DataError(
                f"a field of view of {' x '.join(f'{float(size):g}' for size in image.field_of_view)} mm in an image",
                "three sizes above 0",
                "correct the field of view in the MRD header",
            )
        for kind, values_zyx in parts(image, wanted):
            planes = found.setdefault(kind, [])
            planes += [
                Frame(image, values_yx, plane(image, partition))
                for partition, values_yx in enumerate(values_zyx)
            ]
    made = [_ordered(Series(kind, frames, digest=digest.digest())) for kind, frames in found.items()]
    for series in made:
        series.largest = _largest(series, made)
        series.number = _number(series.kind, first_number, {other.number for other in made})
    return sorted(made, key=lambda series: series.number)


def slice_spacing_mm(planes: list[Plane]) -> float | None:
    """Distance of neighbouring parallel planes, None for a single plane or where distances differ."""
    normal = planes[0].normal
    if any(abs(each.normal @ normal) < 0.999 for each in planes):
        return None
    steps = np.diff(np.unique([each.first_mm @ normal for each in planes]))
    steps = steps[steps > SAME_MM]
    return float(steps.mean()) if len(steps) and np.ptp(steps) < 0.01 * steps.mean() else None


def ranks(values: np.ndarray) -> list[int]:
    """The rank of every value from 0; values closer than ``SAME_MM`` share one."""
    order = np.argsort(values, kind="stable")
    found = np.empty(len(values), int)
    found[order] = np.concatenate(([0], np.cumsum(np.diff(values[order]) > SAME_MM)))
    return [int(rank) for rank in found]


def _ordered(series: Series) -> Series:
    frames = series.frames
    normal = frames[0].where.normal
    parallel = all(frame.where.normal @ normal > 0.999 for frame in frames)
    if parallel:
        numbers = ranks(np.array([frame.where.first_mm @ normal for frame in frames]))
    else:  # a localiser: by slice number
        numbers = ranks(np.array([float(frame.image.slice) for frame in frames]))
    series.times = sorted({moment(frame.image) for frame in frames})
    when = {found: number for number, found in enumerate(series.times)}
    for frame, place in zip(frames, numbers, strict=True):
        frame.place, frame.time = place, when[moment(frame.image)]
    frames.sort(key=lambda each: (each.time, each.contrast, each.place, int(each.image.image_index)))
    images = [frame.image for frame in frames]
    series.places = max(numbers) + 1
    series.spacing_mm = slice_spacing_mm([frame.where for frame in frames])
    series.trigger_ms, series.resolution_ms = trigger_times_ms(images), resolution_ms(images)
    return series


def _largest(series: Series, every: list[Series]) -> float:
    """Largest absolute value; of real and imaginary part together."""
    alike = [series]
    if series.kind.component in (REAL, IMAGINARY):
        alike = [
            other
            for other in every
            if other.kind.index == series.kind.index and other.kind.component in (REAL, IMAGINARY)
        ]
    return max(float(np.abs(frame.values_yx).max(initial=0)) for other in alike for frame in other.frames)


def _number(kind: Kind, first: int, taken: set[int]) -> int:
    offset = {"phase": 20, "real": 40, "imaginary": 60}.get(kind.component, 0)
    number = first * 100 + kind.index + offset + 10 * kind.fallback + 5 * kind.uncertainty
    while number in taken or number == 0:
        number += 1
    return number
