"""Measured training scans: fully sampled raw files go through the chain's own stages once, with coil maps, into a cache.

ISMRMRD and fastMRI files alike (whatever ``smug-recon replay`` reads): noise prewhitening, readout oversampling, gathering are
those of the scanner, so that a network meets there what it has been trained on. A raw file becomes one HDF5 file of the cache,
written whole or not at all, and is read again only when it has changed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from smug_recon.calibration import calibration_block, espirit_maps
from smug_recon.errors import ConfigurationError, DataError, SmugReconError
from smug_recon.gadgets.flow.items import Slice
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.stream import gathered
from smug_recon.physics import ifft_centred
from smug_recon.pipeline import load_pipeline
from smug_recon.replay.messages import wire
from smug_recon.replay.messages.header import parse_header
from smug_recon.replay.reading.raw import open_raw
from smug_recon.training.cache import is_intact, make_cache, place_of, raw_files, sha256_of, write_slices
from smug_recon.training.config import ScanConfig
from smug_recon.training.distributed import Team
from smug_recon.training.scans import Scan, acquired_lines, draw_mask, undersampled

log = logging.getLogger(__name__)


def collect(raw: Path, cache: Path, team: Team | None = None) -> list[Path]:
    """Bring every raw file of a folder (or one file) into the cache; return its files there, in the order of their names.

    A file that cannot be used is left out with a warning. A ``team`` shares the files among its processes, which share the cache.

    Raises:
        ConfigurationError: no raw file there, or none that can be used. OutputError: the cache cannot be written.
    """
    files = raw_files(raw, cache)
    make_cache(cache)
    team = team or Team()
    for path in tqdm(files[team.rank :: team.size], desc="raw files", disable=None):
        if is_intact(ready := place_of(path, cache)):
            continue
        try:
            slices, sha256 = fully_sampled_slices(path), sha256_of(path)
        except (OSError, RuntimeError, ValueError, KeyError, SmugReconError) as error:
            log.warning("%s is left out: %s", path.name, error)
            continue
        write_slices(ready, slices, sha256)
    team.wait()
    found = [place_of(path, cache) for path in files if is_intact(place_of(path, cache))]
    if not found:
        raise ConfigurationError(
            f"no usable raw file in {raw} ({len(files)} looked at)",
            "fully sampled ISMRMRD or fastMRI files (NAME.h5)",
            "correct data.raw in the training config; the log says what is wrong with each file",
        )
    if len(found) < len(files) and team.rank == 0:
        log.warning("%d of %d raw files are used", len(found), len(files))
    return found


def fully_sampled_slices(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Return hybrid space and coil maps, ``(c, y, x)`` each, of every fully sampled slice of a raw file.

    Lines may be missing at both ends alike, where the encoded matrix is larger than what was acquired (many fastMRI files).

    Raises:
        DataError: a slice lacks other lines, or there is none. SmugReconError: what reading the file raises.
    """
    with open_raw(path) as source:
        header, _ = parse_header(source.header_xml)
        plan = build_plan(header, load_pipeline())
        slices: list[tuple[Tensor, Tensor]] = []
        for item in gathered(wire.items(source.blocks()), plan, header, Report()):
            if not isinstance(item, Slice):
                continue
            acquired = torch.nonzero(item.mask_y).flatten()
            within = int(acquired[-1] - acquired[0]) + 1
            if (
                len(acquired) < within or item.partial_y is not None
            ):  # both ends zero alike: the matrix filled up
                raise DataError(
                    f"{len(item.mask_y) - len(acquired)} of {len(item.mask_y)} lines missing in {item.key}",
                    "a fully sampled scan: it is the target of training",
                    "leave it out of data.raw",
                )
            slices.append((item.kspace_cyx, _maps(item.kspace_cyx)))
    if not slices:
        raise DataError(f"no slice in {path.name}", "a Cartesian scan", "leave it out of data.raw")
    return slices


def _maps(hybrid_cyx: Tensor, width: int = 24) -> Tensor:
    """Return the ESPIRiT maps of a fully sampled slice, from its ``width`` central lines and columns."""
    coils, lines_y, readout_x = hybrid_cyx.shape
    if coils == 1:
        return torch.ones_like(hybrid_cyx)
    centre, half = lines_y // 2, min(width, lines_y) // 2
    block_cyx = calibration_block(hybrid_cyx, (centre - half, centre + half), width)
    return espirit_maps(block_cyx, (lines_y, readout_x), crop=0.0)[0]


@dataclass(frozen=True)
class MeasuredScans:
    """Scans drawn from the cache: a slice, mirrored along the readout or not, sampled as the config says."""

    files: list[Path]
    config: ScanConfig
    places: dict[int, list[tuple[Path, str]]] = field(init=False)
    shapes_cyx: list[tuple[int, int, int]] = field(init=False)

    def __post_init__(self) -> None:
        places: dict[int, list[tuple[Path, str]]] = {}
        shapes: list[tuple[int, int, int]] = []
        for path in self.files:
            with h5py.File(path, "r") as file:
                for name, group in file.items():
                    shapes.append(group["hybrid"].shape)
                    places.setdefault(shapes[-1][1], []).append((path, name))
        object.__setattr__(self, "places", places)
        object.__setattr__(self, "shapes_cyx", shapes)

    @property
    def subjects(self) -> list[str]:
        """Empty: names of raw files may name patients."""
        return []

    @property
    def lines_y(self) -> tuple[int, ...]:
        """One entry a slice: a size is drawn as often as there are slices of it."""
        return tuple(lines for lines, found in sorted(self.places.items()) for _ in found)

    def drawn_as(self, scans: ScanConfig) -> MeasuredScans:
        """Return the same slices with other distributions."""
        return MeasuredScans(self.files, scans)

    def draw(self, seed: int, index: int, lines_y: int, whole: bool = False) -> Scan:
        """Draw a slice of ``lines_y`` lines and sample it; the target is what its full data show, noise included."""
        rng = np.random.default_rng([seed, index])
        places = self.places[lines_y]
        path, name = places[int(rng.integers(len(places)))]
        with h5py.File(path, "r") as file:
            hybrid_cyx, maps_cyx = (torch.from_numpy(file[name][part][()]) for part in ("hybrid", "maps"))
        if rng.random() < 0.5:
            hybrid_cyx, maps_cyx = hybrid_cyx.flip(-1), maps_cyx.flip(-1)
        target_yx = (maps_cyx.conj() * ifft_centred(hybrid_cyx, [-2])).sum(0)
        mask_y = torch.from_numpy(draw_mask(lines_y, self.config, rng)) & acquired_lines(hybrid_cyx)
        return undersampled(hybrid_cyx, maps_cyx, mask_y.float(), target_yx, self.config, rng, whole)
