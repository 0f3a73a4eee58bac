"""Where training scans come from: simulated from magnitude slices, or measured; both are drawn by number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from smug_recon.training.config import DataConfig, ScanConfig
from smug_recon.training.distributed import Team
from smug_recon.training.measured import MeasuredScans, collect
from smug_recon.training.scans import Scan, draw_scan
from smug_recon.training.slices import Volume, read_volumes


class Source(Protocol):
    """Scan ``index`` of a seed is always the same scan."""

    @property
    def config(self) -> ScanConfig:
        """The distributions."""

    @property
    def subjects(self) -> list[str]:
        """Names of the subjects, where they are known."""

    @property
    def lines_y(self) -> tuple[int, ...]:
        """Numbers of phase encode lines to draw from; all scans of a batch have the same."""

    def draw(self, seed: int, index: int, lines_y: int, whole: bool = False) -> Scan:
        """Return a scan of ``lines_y`` lines, cut to a slab of columns unless it is wanted ``whole``."""

    def drawn_as(self, scans: ScanConfig) -> Source:
        """Return the same material with other distributions."""


@dataclass(frozen=True)
class SimulatedScans:
    """Multi-coil scans simulated from magnitude slices (:func:`smug_recon.training.scans.draw_scan`)."""

    volumes: list[Volume]
    config: ScanConfig

    @property
    def subjects(self) -> list[str]:
        """As the slice file calls them."""
        return sorted({volume.subject for volume in self.volumes})

    @property
    def lines_y(self) -> tuple[int, ...]:
        """As the config says."""
        return self.config.lines_y

    def draw(self, seed: int, index: int, lines_y: int, whole: bool = False) -> Scan:
        """Simulate a scan."""
        return draw_scan(self.volumes, self.config, seed, index, lines_y, whole)

    def drawn_as(self, scans: ScanConfig) -> SimulatedScans:
        """Return the same slices with other distributions."""
        return replace(self, config=scans)


def open_source(data: DataConfig, scans: ScanConfig | None = None, team: Team | None = None) -> Source:
    """Return the scans of a training config, drawn as ``scans`` says; measured ones are collected into the cache at first use.

    Pixels and samples stay on disk until a scan is drawn: a process of a ``team`` reads the scans of its own share only.
    """
    scans = scans or data.scans
    if data.raw is not None:
        return MeasuredScans(collect(data.raw, data.cache_folder, team), scans)
    assert data.slices is not None  # one of the two: held by DataConfig
    return SimulatedScans(read_volumes(data.slices, data.split, stored=True), scans)
