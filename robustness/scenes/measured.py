"""Scenes from fully sampled raw files: fastMRI or ISMRMRD, read by the chain's own front end, maps estimated once and cached."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import h5py
import torch
from torch import Tensor

from smug_recon.errors import ConfigurationError
from smug_recon.physics import ifft_centred
from smug_recon.robustness.settings.data import DataSettings
from smug_recon.robustness.settings.scan import ScanSettings

SAMPLING = {"acceleration", "calibration", "pattern", "decay"}


@dataclass(frozen=True)
class MeasuredSlice:
    """One slice of a raw file in the cache. The file stands for its subject, under a number: names of files may name patients."""

    path: Path
    group: str

    @property
    def subject(self) -> str:
        """``file-`` and the hash of the raw file's bytes; of its place, where the cache is of a version that kept none."""
        with h5py.File(self.path, "r") as file:
            if "sha256" in file.attrs:
                return f"file-{file.attrs['sha256'][:8]}"
        found = re.search(r"-([0-9a-f]{8})[0-9a-f]*$", self.path.stem)
        return f"file-{found.group(1) if found else format(zlib.crc32(self.path.stem.encode()), '08x')}"

    @property
    def name(self) -> str:
        """Subject and number of the slice."""
        return f"{self.subject}/{self.group}"

    @property
    def fingerprint(self) -> str:
        """Name and the beginning of the data."""
        hybrid_cyx, _, _ = self.read()
        return f"{self.name}/{zlib.crc32(hybrid_cyx[0].numpy().tobytes()):08x}"

    def read(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return hybrid space, maps, and what the full data show."""
        with h5py.File(self.path, "r") as file:
            hybrid_cyx, maps_cyx = (
                torch.from_numpy(file[self.group][part][()]) for part in ("hybrid", "maps")
            )
        return hybrid_cyx, maps_cyx, (maps_cyx.conj() * ifft_centred(hybrid_cyx, [-2])).sum(0)


def measured_slices(data: DataSettings, scan: ScanSettings) -> list[MeasuredSlice]:
    """Return ``per_subject`` slices of every raw file, files in turn.

    Raises:
        ConfigurationError: no usable raw file, or a shift that needs another scan of the same object.
    """
    changed = {
        name
        for name in ("coils", "noise", "gamma", "contrast", "orientation")
        if getattr(scan, name) != ScanSettings.model_fields[name].default
    }
    if changed:
        raise ConfigurationError(
            f"{', '.join(sorted(changed))} set for measured scans",
            f"settings of the sampling only ({', '.join(sorted(SAMPLING))})",
            "take them out of scan and axes.shifts, or evaluate simulated scans (data.slices)",
        )
    assert data.raw is not None
    chosen: list[list[MeasuredSlice]] = []
    for path in _collected(data.raw, data.cache or data.raw.parent / ".cache"):
        with h5py.File(path, "r") as file:
            groups = sorted(file)
        count = min(data.per_subject, len(groups))
        places = [int((place + 0.5) * len(groups) / count) for place in range(count)]
        chosen.append([MeasuredSlice(path, groups[place]) for place in places])
    found = [own[turn] for turn in range(data.per_subject) for own in chosen if turn < len(own)]
    return found[: data.limit]


@lru_cache(maxsize=2)
def _collected(raw: Path, cache: Path) -> tuple[Path, ...]:
    from smug_recon.training.measured import collect

    return tuple(collect(raw, cache))
