"""The stacks that the browser scrolls through: every series of the scan, and the network beside the conventional image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smug_recon.report.book import COUNTERS, Book
from smug_recon.report.stack import LARGEST_CODE, Turn, evenly, fitted, packed, slope_of, turn_of

MOST_IMAGES = 60
"""Of one series."""
MOST_BYTES = 7_000_000
"""Of all series together, as they stand in the page."""
BESIDE_SIDE = 320
"""Pixels of a side in the comparison."""


@dataclass
class Panel:
    """One canvas: what it shows and how (grey, difference, spread)."""

    title: str
    kind: str
    planes: list[dict[str, Any] | None] = field(default_factory=list)
    slope: float = 1.0
    top: float = 1.0
    """Value shown as the brightest of a map with a window of its own."""


@dataclass
class Tab:
    """A stack of images with one window: level and width in the values of the series."""

    title: str
    panels: list[Panel]
    labels: list[str]
    centre: float
    width: float
    largest: float
    aspect: float
    note: str = ""
    fallback: list[str] = field(default_factory=list)
    still: np.ndarray | None = None
    """The image in the middle, 0 to 255, for a browser without scripts."""

    def as_dict(self) -> dict[str, Any]:
        """What the script on the page needs."""
        return {
            "labels": self.labels,
            "fallback": self.fallback,
            "centre": self.centre,
            "width": self.width,
            "largest": self.largest,
            "aspect": self.aspect,
            "panels": [
                {"kind": p.kind, "title": p.title, "slope": p.slope, "top": p.top, "planes": p.planes}
                for p in self.panels
            ],
        }


def series_tabs(book: Book) -> list[Tab]:
    """A tab for every series, with as many of its images as fit into the page."""
    share = MOST_BYTES / max(len(book.series), 1)
    tabs = []
    for group, told in book.series.items():
        pixels = max(min(int(np.prod(about["shape"][-2:])), 384 * 384) for about in told)
        room = int(max(1, min(MOST_IMAGES, share / (1.7 * pixels))))
        in_order = sorted(range(len(told)), key=lambda n: tuple(told[n][name] for name in reversed(COUNTERS)))
        tabs.append(series_tab(book, group, told, [in_order[n] for n in evenly(len(told), room)]))
    return tabs


def series_tab(book: Book, group: str, told: list[dict[str, Any]], chosen: list[int]) -> Tab:
    """One series."""
    by_number, turn = {}, Turn()
    for number, image in book.images(group, set(chosen)):
        magnitude_yx = np.abs(np.asarray(image.data)).reshape(-1, *image.data.shape[-2:])
        turn = turn_of(image)
        by_number[number] = turn(fitted(magnitude_yx[len(magnitude_yx) // 2]))
    values = [by_number[number] for number in chosen]
    tops = [window_top(told[number]["meta"], by_number[number]) for number in chosen]
    largest = max(float(v.max()) for v in values) or 1.0
    slope, top = slope_of(largest), max(tops) or largest
    planes: list[dict[str, Any] | None] = [packed(v, slope) for v in values]
    meta = told[0]["meta"]
    parts = [""] * len(chosen)
    uncertain = "Uncertainty" in list(meta.get("DataRole", []))
    name = "uncertainty" if uncertain else str(meta.get("SequenceDescriptionAdditional") or group)
    note = ""
    if len(chosen) < len(told):
        note = f"{len(chosen)} of {len(told)} images, evenly spread; images.h5 and dicom/ have all of them."
    if max(told[0]["shape"][-2:]) > max(values[0].shape):
        note += " Averaged down to fit into this page."
    if slope != 1.0:
        note += f" Shown in {LARGEST_CODE + 1} steps."
    for position, number in enumerate(chosen):
        if method := told[number]["meta"].get("SmugFallback"):
            parts[position] = f"{method}: {told[number]['meta'].get('SmugFallbackReason', 'not told')}"[:300]
    middle = values[len(values) // 2]
    return Tab(
        name,
        [Panel(name, "grey", planes, slope)],
        [label(told[number], told) for number in chosen],
        top / 2,
        top,
        largest,
        turn.aspect,
        note.strip(),
        parts,
        np.clip(middle * (255 / top), 0, 255).astype(np.uint8),
    )


def window_top(meta: dict[str, Any], values: np.ndarray) -> float:
    """The value that an image's own window shows as white."""
    try:
        return float(meta["WindowCenter"]) + float(meta["WindowWidth"]) / 2
    except (KeyError, TypeError, ValueError):
        return float(np.percentile(values, 99.5))


def label(about: dict[str, Any], told: list[dict[str, Any]]) -> str:
    """``slice 3, phase 2``, counted from 1, the counters that vary in this series only."""
    varying = [name for name in COUNTERS if len({other[name] for other in told}) > 1] or ["slice"]
    return ", ".join(f"{name} {about[name] + 1}" for name in varying)


def beside_tab(book: Book) -> Tab | None:
    """The network's image, the conventional one, their difference and the uncertainty for the slices with a page."""
    pages = [n for n in range(len(book.notes.get("pages", []))) if f"page{n}_SMUG" in book.arrays]
    pages = [n for n in pages if f"page{n}_CG-SENSE" in book.arrays]
    if not pages:
        return None
    turn, factor = page_turn(book), scale_factor(book)

    def of(role: str) -> list[np.ndarray | None]:
        found = [book.arrays.get(f"page{n}_{role}") for n in pages]
        return [None if f is None else turn(fitted(f * factor, BESIDE_SIDE)) for f in found]

    stacks = {role: of(role) for role in ("SMUG", "CG-SENSE", "SMUG uncertainty")}
    both = [v for role in ("SMUG", "CG-SENSE") for v in stacks[role] if v is not None]
    largest = max(float(v.max()) for v in both) or 1.0
    top = max(float(np.percentile(v, 99.8)) for v in both) or largest
    methods = {
        role: {book.notes["pages"][n].get("methods", {}).get(role, role) for n in pages} for role in stacks
    }
    panels = [
        panel(" / ".join(sorted(methods["SMUG"])), "grey", stacks["SMUG"]),
        panel(" / ".join(sorted(methods["CG-SENSE"])), "grey", stacks["CG-SENSE"]),
        Panel("difference", "difference"),
    ]
    if any(v is not None and v.any() for v in stacks["SMUG uncertainty"]):
        panels.append(panel("uncertainty", "spread", stacks["SMUG uncertainty"]))
    about = book.notes["pages"]
    labels = [page_label(about[n], about) for n in pages]
    total, note = int(book.notes.get("reconstructed", len(pages))), ""
    if len(pages) < total:
        note = f"{len(pages)} of {total} slices, evenly spread in the order of reconstruction."
    return Tab("beside", panels, labels, top / 2, top, largest, turn.aspect, note, [""] * len(pages))


def panel(title: str, kind: str, values: list[np.ndarray | None]) -> Panel:
    """Pack the images of one panel."""
    there = [v for v in values if v is not None]
    largest = max((float(v.max()) for v in there), default=0.0)
    slope = slope_of(largest)
    top = max((float(np.percentile(v, 99.8)) for v in there), default=0.0) or largest or 1.0
    return Panel(title, kind, [None if v is None else packed(v, slope) for v in values], slope, top)


def page_label(page: dict[str, Any], pages: list[dict[str, Any]]) -> str:
    """Which slice a page is about."""
    names = (*COUNTERS, "partition")
    varying = [name for name in names if len({other[name] for other in pages}) > 1] or ["slice"]
    return ", ".join(f"{name} {page[name] + 1}" for name in varying)


def page_turn(book: Book) -> Turn:
    """How the first image of the scan is turned; the pages are turned alike."""
    for group in book.series:
        for _, image in book.images(group, {0}):
            return turn_of(image)
    return Turn()


def scale_factor(book: Book) -> float:
    """The factor from the values of the chain to those of the images that left: that of most images of the network."""
    told = [about["meta"] for images in book.series.values() for about in images]
    factors = Counter(
        str(meta["ScaleFactor"]) for meta in told if "SmugModel" in meta and "ScaleFactor" in meta
    )
    try:
        return float(factors.most_common(1)[0][0])
    except (IndexError, ValueError):
        return 1.0
