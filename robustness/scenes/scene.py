"""The evaluated scans: slices of held-out subjects, each simulated once and for all, whole and complex.

A scene is named by its slice. Everything about it is drawn from the seed and that name, never from which other slices are
evaluated, so that any row can be repeated alone. A fully sampled scan is drawn first and then undersampled: object, coils,
phase and noise stay the same under shifts of the sampling.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from smug_recon.errors import ConfigurationError
from smug_recon.network.conditioning import intensity_scale, log_level, noise_level
from smug_recon.physics import sense_adjoint
from smug_recon.robustness.scenes.measured import MeasuredSlice, measured_slices
from smug_recon.robustness.scenes.patterns import draw_mask
from smug_recon.robustness.settings.data import DataSettings
from smug_recon.robustness.settings.scan import ScanSettings
from smug_recon.training.config import ScanConfig
from smug_recon.training.scans import acquired_lines, draw_scan
from smug_recon.training.slicefile import text_attributes, volume_groups
from smug_recon.training.slices import Volume, read_volumes


@dataclass(frozen=True)
class Slice:
    """One held-out magnitude slice, as a volume of its own."""

    volume: Volume
    number: int

    @property
    def subject(self) -> str:
        """As the slice file calls it."""
        return self.volume.subject

    @property
    def name(self) -> str:
        """``subject/volume/number`` in the slice file."""
        return f"{self.subject}/{self.volume.name}/{self.number}"

    @property
    def fingerprint(self) -> str:
        """Name and pixels: results are kept under it."""
        return f"{self.name}/{zlib.crc32(np.asarray(self.volume.slices_nyx).tobytes()):08x}"


AnySlice = Slice | MeasuredSlice


@dataclass(frozen=True)
class Scene:
    """One scan in the scale in which networks work (:func:`intensity_scale` of A^H y is 1); b = 1 everywhere.

    ``kspace_bcyx`` is hybrid space (ky, x) with ``mask_by``, k-space with ``mask_byx``; ``level_b`` the log noise level.
    """

    name: str
    subject: str
    kspace_bcyx: Tensor
    maps_bcyx: Tensor
    mask: Tensor
    target_byx: Tensor
    level_b: Tensor

    @property
    def peak(self) -> float:
        """Largest magnitude of the target: strengths are relative to it."""
        return float(self.target_byx.abs().amax())

    @property
    def adjoint_byx(self) -> Tensor:
        """A^H y, the zero-filled image."""
        return sense_adjoint(self.kspace_bcyx, self.maps_bcyx, self.mask)

    def to(self, device: str) -> Scene:
        """Return the scene on a device."""
        names = ("kspace_bcyx", "maps_bcyx", "mask", "target_byx", "level_b")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def held_out(data: DataSettings, scan: ScanSettings, split: str | None = None) -> Sequence[AnySlice]:
    """Return the evaluated slices, as :func:`fitting_slices` does.

    Raises:
        ConfigurationError: no slice of the wanted contrast and orientation.
    """
    found = fitting_slices(data, scan, split)
    if not found:
        raise ConfigurationError(
            f"no slice of contrast {scan.contrast or '(any)'}, orientation {scan.orientation or '(any)'} in {data.slices}",
            "at least one",
            "correct scan in the config, or choose another file",
        )
    return found


def fitting_slices(data: DataSettings, scan: ScanSettings, split: str | None = None) -> Sequence[AnySlice]:
    """Return the evaluated slices, subjects in turn: the first of each, the second of each, and so on.

    A file without any volume of the split is taken as a whole: it is somebody's own. None where the wanted contrast or orientation
    does not occur.
    """
    if data.raw is not None:
        return list(measured_slices(data, scan))
    volumes = volumes_of(data, split or data.split)
    chosen: list[list[Slice]] = []
    for subject in sorted({volume.subject for volume in volumes}):
        fitting = [
            volume
            for volume in volumes
            if volume.subject == subject
            and scan.contrast in (None, volume.contrast)
            and scan.orientation in (None, volume.orientation)
        ]
        slices = [(volume, number) for volume in fitting for number in range(len(volume.slices_nyx))]
        count = min(data.per_subject, len(slices))
        places = [int((place + 0.5) * len(slices) / count) for place in range(count)]
        chosen.append([_alone(*slices[place]) for place in places])
    found = [own[turn] for turn in range(data.per_subject) for own in chosen if turn < len(own)]
    return found[: data.limit]


def volumes_of(data: DataSettings, split: str) -> list[Volume]:
    """Return the volumes of a split, or all where the file has none of it."""
    assert data.slices is not None
    return _read(data.slices, split if split in splits_of(data.slices) else None)


def data_name(data: DataSettings) -> str:
    """Return what the column ``data`` says: file and split, or ``whole`` for a file without that split."""
    whole = data.slices is not None and data.split not in splits_of(data.slices)
    return f"{data.slices.stem}:whole" if whole and data.slices is not None else data.name


@lru_cache(maxsize=4)
def splits_of(path: Path) -> frozenset[str]:
    """Return the splits of a slice file."""
    return frozenset(
        text_attributes(group)["split"] for _, group in volume_groups(path) if "split" in group.attrs
    )


@lru_cache(maxsize=4)
def _read(path: Path, split: str | None) -> list[Volume]:
    return read_volumes(path, split)


def _alone(volume: Volume, number: int) -> Slice:
    alone = replace(volume, slices_nyx=volume.slices_nyx[number : number + 1], numbers=None)
    return Slice(alone, volume.number(number))


def draw_scene(slice_: AnySlice, settings: ScanSettings, seed: int) -> Scene:
    """Simulate the scan of a slice, normalise it by its own A^H y, and estimate its noise level as the scanner does."""
    name = zlib.crc32(slice_.name.encode())
    if isinstance(slice_, MeasuredSlice):
        hybrid_cyx, maps_cyx, target_yx = slice_.read()
        mask = draw_mask(
            settings.model_copy(update={"lines_y": hybrid_cyx.shape[1]}),
            np.random.default_rng([seed, name, 1]),
        )
        mask_y = (torch.from_numpy(mask) & acquired_lines(hybrid_cyx)).float()
        kspace_cyx = hybrid_cyx * mask_y[:, None]
        return normalised(
            slice_.name, slice_.subject, kspace_cyx[None], maps_cyx[None], mask_y[None], target_yx[None]
        )
    lines = settings.lines_y
    config = ScanConfig(
        lines_y=(lines,),
        slab_x=lines // 2,
        zoom=settings.zoom,
        gamma=(settings.gamma, settings.gamma),
        coils=(settings.coils, settings.coils),
        acceleration=(1.0, 1.0),
        calibration=(lines, lines),
        random_fraction=1.0,
        noise=(settings.noise, settings.noise),
        estimated_maps=0.0 if settings.exact_maps else 1.0,
        calibration_width=settings.maps_width,
        crops=(0.0,),
    )
    full = draw_scan([slice_.volume], config, seed, name, lines, whole=True)
    mask_y = torch.from_numpy(draw_mask(settings, np.random.default_rng([seed, name, 1])).astype(np.float32))
    return normalised(
        slice_.name,
        slice_.volume.subject,
        (full.kspace_cyx * mask_y[:, None])[None],
        full.maps_cyx[None],
        mask_y[None],
        full.target_yx[None],
    )


def normalised(
    name: str, subject: str, kspace_bcyx: Tensor, maps_bcyx: Tensor, mask: Tensor, target_byx: Tensor
) -> Scene:
    """Return a scan of any intensity as a scene: divided by the scale of its A^H y, with its estimated noise level."""
    scale = float(intensity_scale(sense_adjoint(kspace_bcyx, maps_bcyx, mask)))
    kspace_bcyx = kspace_bcyx / scale
    level_b = log_level(noise_level(kspace_bcyx, maps_bcyx, mask))
    return Scene(name, subject, kspace_bcyx, maps_bcyx, mask, target_byx / scale, level_b)
