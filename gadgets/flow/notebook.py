"""What the report shows beyond the images: pages of some slices, noise, channels, timeline; written to one ``.npz``.

A page is kept for at most :data:`PAGES` slices, evenly spread in the order of reconstruction: when there are more, every
second one goes and from then on only every second slice gets one. Maps and images are averaged down to a bounded size.
So a notebook of a thousand slices is as large as that of eight. For the slices with a page the conventional image and the
uncertainty are kept even where the pipeline does not send them.
"""

from __future__ import annotations

import functools
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
import torch
from torch import Tensor

from smug_recon.gadgets.flow.items import Reconstruction, Slice, SliceKey, Volume
from smug_recon.gadgets.flow.observer import Observer
from smug_recon.gadgets.flow.timeline import Timeline
from smug_recon.whole_file import whole_file

log = logging.getLogger(__name__)

LAYOUT = 1
PAGES = 8
IMAGE_SIDE = 512
MAP_SIDE = 96
EIGENVALUE_SIDE = 192
MOST_MAPS = 64
SMUG = "SMUG"
READOUTS, IMAGES = "readouts", "images"
"""Events on the timeline."""


@dataclass
class Page:
    """One slice: what is said of it, and its arrays by name."""

    number: int
    about: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def harmless(method: Callable[..., None]) -> Callable[..., None]:
    """A failure ends the notebook, said in the log; never the scan."""

    @functools.wraps(method)
    def guarded(self: Notebook, *arguments: Any) -> None:
        if self.broken:
            return
        try:
            method(self, *arguments)
        except Exception as error:
            self.broken = True
            log.warning("nothing more is kept for the report: %s: %s", type(error).__name__, error)

    return guarded


class Notebook(Observer):
    """Keeps a bounded account of one stream and writes it to ``path`` at its end."""

    def __init__(self, path: Path, pages: int = PAGES) -> None:
        self.path, self.most_pages = path, pages
        self.broken = False
        self.timeline = Timeline(time.perf_counter())
        self._pages: dict[tuple[SliceKey, int], Page] = {}
        self._seen, self._every = 0, 1
        self._noise: dict[str, Any] = {}
        self._covariance_cc: np.ndarray | None = None
        self._energy_c: dict[int, float] = {}
        self._left_out: dict[int, int] = {}
        self._slices = 0
        self._slab: tuple[SliceKey, np.ndarray] | None = None
        self._slab_about: dict[str, Any] = {}

    @harmless
    def booked(self, stage: str, began: float, ended: float) -> None:
        """Enter the seconds of a stage on the timeline."""
        self.timeline.add(stage, began, ended)

    def arriving(self, items: Iterable[Any]) -> Iterator[Any]:
        """Pass the items on and enter when each readout came."""
        for item in items:
            if isinstance(item, ismrmrd.Acquisition):
                self._arrived()
            yield item

    @harmless
    def noise(self, covariance_cc: Tensor, samples: int, dwell_us: float) -> None:
        """Keep the covariance."""
        self._covariance_cc = covariance_cc.to(torch.complex64).numpy().copy()
        self._noise = {"samples": samples, "dwell_us": dwell_us}

    @harmless
    def channels(self, item: Slice) -> None:
        """Add up the energy of every receive channel, and count where it was left out."""
        self._slices += 1
        coils = item.kspace_cyx.shape[0]
        here = [c for c in range(coils + len(item.left_out)) if c not in item.left_out]
        for channel, kspace_yx in zip(here, item.kspace_cyx, strict=True):
            norm = float(torch.linalg.vector_norm(torch.view_as_real(kspace_yx)))
            self._energy_c[channel] = self._energy_c.get(channel, 0.0) + norm**2
        for channel in item.left_out:
            self._left_out[channel] = self._left_out.get(channel, 0) + 1

    @harmless
    def coil_maps(self, item: Slice, eigenvalue_yx: Tensor | None) -> None:
        """Open a page for the slice, if it is one that gets a page."""
        page = self._open(item.key, item.partition, item.head)
        if page is None:
            return
        page.about["lines"] = int(item.mask_y.sum())
        page.about["coils"] = item.kspace_cyx.shape[0]
        page.arrays["mask"] = marks(item.mask_y, item.flagged_y)
        if item.maps_cyx is not None:
            page.about["coils_shown"] = min(item.kspace_cyx.shape[0], MOST_MAPS)
            page.arrays["maps"] = smaller(item.maps_cyx[:MOST_MAPS], MAP_SIDE).numpy()
        if eigenvalue_yx is not None:
            page.arrays["eigenvalue"] = smaller(eigenvalue_yx, EIGENVALUE_SIDE).numpy()

    @harmless
    def slab(self, item: Volume, lines_y: int) -> None:
        """Keep the sampling of a slab that is reconstructed position by position; its pages open with its images."""
        shape_zy = (item.lines_z, lines_y)
        self._slab = item.key, marks(item.mask_y.reshape(shape_zy), item.flagged_y.reshape(shape_zy))
        self._slab_about = {"lines": int(item.mask_y.sum()), "coils": item.kspace_cyx.shape[0]}

    def wants(self, key: SliceKey, partition: int = 0) -> bool:
        """Whether there is a page for the slice."""
        return not self.broken and (key, partition) in self._pages

    def finished(self, items: Iterable[Any]) -> Iterator[Any]:
        """Put the images on their pages; those that were made for the notebook end here."""
        for item in items:
            if isinstance(item, Reconstruction):
                self._keep(item)
                if item.kept_back:
                    continue
            yield item

    @harmless
    def end(self) -> None:
        """Write the file in one step."""
        pages: list[dict[str, Any]] = []
        about = {
            "layout": LAYOUT,
            "pages": pages,
            "slices": self._slices,
            "every": self._every,
            "reconstructed": self._seen,
            "noise": self._noise,
            "signal": {str(c): energy for c, energy in sorted(self._energy_c.items())},
            "left_out": {str(c): count for c, count in sorted(self._left_out.items())},
            "timeline": self.timeline.as_dict(),
        }
        arrays: dict[str, np.ndarray] = {}
        if self._covariance_cc is not None:
            arrays["covariance_cc"] = self._covariance_cc
        for number, ((key, partition), page) in enumerate(sorted(self._pages.items())):
            pages.append({**key._asdict(), "partition": partition, **page.about})
            arrays |= {f"page{number}_{name}": value for name, value in page.arrays.items()}
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        with whole_file(self.path) as unfinished, unfinished.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    @harmless
    def _arrived(self) -> None:
        self.timeline.count(READOUTS, time.perf_counter())

    def _open(self, key: SliceKey, partition: int, head: ismrmrd.AcquisitionHeader) -> Page | None:
        number, self._seen = self._seen, self._seen + 1
        if number % self._every:
            return None
        if len(self._pages) >= self.most_pages:
            self._every *= 2
            self._pages = {
                where: page for where, page in self._pages.items() if not page.number % self._every
            }
            if number % self._every:
                return None
        directions = {name: list(getattr(head, name)) for name in ("read_dir", "phase_dir", "slice_dir")}
        page = self._pages[key, partition] = Page(number, directions)
        return page

    @harmless
    def _keep(self, item: Reconstruction) -> None:
        if not item.kept_back:
            self.timeline.count(IMAGES, time.perf_counter())
        where = item.key, item.partition
        if (
            self._slab is not None
            and self._slab[0] == item.key
            and where not in self._pages
            and item.role == SMUG
        ):
            opened = self._open(*where, item.head)
            if opened is not None:
                opened.arrays["mask"] = self._slab[1]
                opened.about.update(self._slab_about)
        page = self._pages.get(where)
        if page is not None:
            page.arrays[item.role] = smaller(item.image_yx.abs(), IMAGE_SIDE).numpy()
            page.about.setdefault("methods", {})[item.role] = item.method or item.role


def marks(mask: Tensor, flagged: Tensor) -> np.ndarray:
    """0 where not sampled, 1 where sampled, 2 where flagged as calibration as well."""
    return (mask.to(torch.uint8) + (mask & flagged).to(torch.uint8)).numpy()


def smaller(image: Tensor, side: int) -> Tensor:
    """Average the last two axes down until the longer one has at most ``side`` samples; complex64 or float32."""
    rows, columns = image.shape[-2:]
    if image.is_complex():
        parts = torch.view_as_real(image.resolve_conj()).movedim(-1, 0)
        return torch.view_as_complex(torch.stack([smaller(part, side) for part in parts], -1).contiguous())
    factor = max(rows, columns) / side
    image = image.to(torch.float32)
    if factor <= 1:
        return image.clone()
    size = (max(1, round(rows / factor)), max(1, round(columns / factor)))
    return torch.nn.functional.adaptive_avg_pool2d(image.reshape(1, -1, rows, columns), size).reshape(
        *image.shape[:-2], *size
    )
