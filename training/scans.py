"""Multi-coil scans simulated from magnitude slices: the network's training material, drawn by index.

Scan ``i`` of a seed is always the same scan, whoever asks and in whatever order: that makes training resumable and workers
exchangeable. Since masks depend on ky alone, columns of hybrid space are independent in data consistency, and a scan may be cut
to a slab of ``slab_x`` columns after everything that needs the whole slice (scale, noise level, coil maps) is done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from smug_recon.calibration import espirit_maps
from smug_recon.network.conditioning import intensity_scale, log_level, noise_level
from smug_recon.physics import fft_centred, ifft_centred, sense_adjoint
from smug_recon.simulation.protocol.masks import sampling_mask
from smug_recon.simulation.receiver.coils import head_array, unit_norm
from smug_recon.simulation.receiver.phase import smooth_phase
from smug_recon.training.config import ScanConfig
from smug_recon.training.slices import FULL_SCALE, Volume


@dataclass(frozen=True)
class Scan:
    """One normalised training scan: hybrid k-space, maps, mask, target image, log noise level."""

    kspace_cyx: Tensor
    maps_cyx: Tensor
    mask_y: Tensor
    target_yx: Tensor
    level: Tensor


def _points(shape_yx: tuple[int, int], orientation: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Coordinates (3, y, x) of a slice in units of its larger side; B0 and the axis of the coil ring are along z."""
    side = max(shape_yx)
    row = (np.arange(shape_yx[0]) - shape_yx[0] / 2) / side
    column = (np.arange(shape_yx[1]) - shape_yx[1] / 2) / side
    row_yx, column_yx = np.meshgrid(row + rng.normal(0, 0.03), column + rng.normal(0, 0.03), indexing="ij")
    depth_yx = np.full(shape_yx, rng.uniform(-0.2, 0.2))
    if orientation == "axial":
        return np.stack([column_yx, row_yx, depth_yx])
    if orientation == "coronal":
        return np.stack([column_yx, depth_yx, row_yx])
    return np.stack([depth_yx, column_yx, row_yx])


def _fit(image: Tensor, lines_y: int, config: ScanConfig, rng: np.random.Generator) -> Tensor:
    """Resample so that the object fills a random part of ``lines_y`` rows, then centre it in the field of view."""
    occupied = torch.nonzero(image.amax(1) > 0.08).flatten()
    extent = int(occupied[-1] - occupied[0]) + 1 if len(occupied) else image.shape[0]
    zoom = float(np.clip(rng.uniform(0.72, 0.97) * lines_y / extent, *config.zoom))
    rows, width = max(16, round(image.shape[0] * zoom)), max(16, round(image.shape[1] * zoom))
    columns = max(config.slab_x, width)
    image = functional.interpolate(image[None, None], size=(rows, width), mode="bicubic", antialias=True)[
        0, 0
    ].clamp_min(0)
    middle = round(
        (float(occupied[0] + occupied[-1]) / 2 if len(occupied) else image.shape[0] / 2) * zoom
    ) + int(rng.integers(-6, 7))
    out = torch.zeros(lines_y, columns)
    first = middle - lines_y // 2
    source = image[max(first, 0) : max(first, 0) + lines_y]
    top, left = max(-first, 0), (columns - image.shape[1]) // 2
    source = source[: lines_y - top]
    out[top : top + source.shape[0], left : left + image.shape[1]] = source
    return out


def _magnitude(
    volumes: list[Volume], config: ScanConfig, rng: np.random.Generator
) -> tuple[Tensor, str, bool]:
    """Draw a slice; rows become the phase encode direction, transposed half of the time."""
    weights = np.array(
        [math.sqrt(len(v.slices_nyx)) * config.contrast_weights.get(v.contrast, 1.0) for v in volumes]
    )
    volume = volumes[int(rng.choice(len(volumes), p=weights / weights.sum()))]
    image = torch.from_numpy(
        volume.slices_nyx[int(rng.integers(len(volume.slices_nyx)))] / np.float32(FULL_SCALE)
    )
    transposed = bool(rng.random() < 0.5)
    image = image.T if transposed else image
    if rng.random() < 0.5:
        image = image.flip(0)
    if rng.random() < 0.5:
        image = image.flip(1)
    return image.contiguous() ** float(rng.uniform(*config.gamma)), volume.orientation, transposed


def draw_scan(
    volumes: list[Volume], config: ScanConfig, seed: int, index: int, lines_y: int, whole: bool = False
) -> Scan:
    """Simulate scan ``index``: object, coil array, phase, mask, noise, estimated maps, scale.

    Args:
        volumes: where slices come from. config: the distributions. seed, index: name the scan. lines_y: phase encode lines.
        whole: leave the slice whole instead of cutting a slab of readout columns.
    """
    rng = np.random.default_rng([seed, index])
    image, orientation, transposed = _magnitude(volumes, config, rng)
    image = _fit(image, lines_y, config, rng)
    shape_yx = (image.shape[0], image.shape[1])
    points = _points(shape_yx[::-1] if transposed else shape_yx, orientation, rng)
    coils = int(rng.integers(config.coils[0], config.coils[1] + 1))
    raw = head_array(points, coils, rng, rng.uniform(0.55, 0.8), rng.uniform(0.15, 0.35))
    maps, rss = unit_norm(raw.transpose(0, 2, 1) if transposed else raw)
    shading = (rss / np.quantile(rss, 0.9)) ** rng.uniform(0.4, 1.0)
    phase = smooth_phase(shape_yx, rng, rng.uniform(0.2, 1.0))
    target_yx = (image * torch.from_numpy(shading)).to(torch.complex64) * torch.from_numpy(
        np.exp(1j * phase).astype(np.complex64)
    )
    maps_cyx = torch.from_numpy(np.ascontiguousarray(maps))

    mask = draw_mask(lines_y, config, rng)
    mask_y = torch.from_numpy(mask.astype(np.float32))
    sigma = math.exp(rng.uniform(math.log(config.noise[0]), math.log(config.noise[1])))
    noise = rng.standard_normal((2, coils, *shape_yx), dtype=np.float32) * np.float32(sigma / math.sqrt(2))
    hybrid_cyx = fft_centred(maps_cyx * target_yx, [-2]) + torch.complex(
        torch.from_numpy(noise[0]), torch.from_numpy(noise[1])
    )
    if rng.random() < config.estimated_maps:
        true_cyx, maps_cyx = maps_cyx, _estimate(hybrid_cyx, mask, config, rng)
        target_yx = (maps_cyx.conj() * true_cyx).sum(0) * target_yx
    if config.noisy_target:
        target_yx = (maps_cyx.conj() * ifft_centred(hybrid_cyx, [-2])).sum(0)

    return undersampled(hybrid_cyx, maps_cyx, mask_y, target_yx, config, rng, whole)


def undersampled(
    hybrid_cyx: Tensor,
    maps_cyx: Tensor,
    mask_y: Tensor,
    target_yx: Tensor,
    config: ScanConfig,
    rng: np.random.Generator,
    whole: bool,
) -> Scan:
    """Sample a fully sampled scan, normalise it by its own A^H y, estimate its noise level, and cut a slab of it."""
    kspace_cyx = hybrid_cyx * mask_y[:, None]
    adjoint_byx = sense_adjoint(kspace_cyx[None], maps_cyx[None], mask_y[None])
    scale = intensity_scale(adjoint_byx)
    level = log_level(noise_level(kspace_cyx[None], maps_cyx[None], mask_y[None]) / scale)[0]
    level = level + rng.uniform(*config.level_bias)
    columns = hybrid_cyx.shape[-1]
    start = int(rng.integers(0, columns - config.slab_x + 1)) if columns > config.slab_x else 0
    slab = slice(None) if whole else slice(start, start + config.slab_x)
    return Scan(
        (kspace_cyx / scale)[..., slab], maps_cyx[..., slab], mask_y, (target_yx / scale[0])[:, slab], level
    )


def acquired_lines(hybrid_cyx: Tensor) -> Tensor:
    """Which lines ``(y)`` of a measured scan have samples; those that only fill up the matrix are zero and cannot be drawn."""
    return (hybrid_cyx != 0).any(2).any(0)


def draw_mask(lines_y: int, config: ScanConfig, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw sampled lines from the distributions of the config."""
    return sampling_mask(
        lines_y,
        rng.uniform(*config.acceleration),
        int(rng.integers(config.calibration[0], config.calibration[1] + 1)),
        rng,
        "random" if rng.random() < config.random_fraction else "regular",
        rng.uniform(*config.decay),
    )


def _estimate(
    hybrid_cyx: Tensor, mask: NDArray[np.bool_], config: ScanConfig, rng: np.random.Generator
) -> Tensor:
    """Return ESPIRiT's maps from the noisy calibration lines of a scan."""
    centre = mask.shape[0] // 2
    half = 0
    while (
        centre - half - 1 >= 0
        and centre + half + 1 < mask.shape[0]
        and mask[centre - half - 1]
        and mask[centre + half]
    ):
        half += 1
    width = min(config.calibration_width, 2 * half)
    block = fft_centred(hybrid_cyx[:, centre - width // 2 : centre + width // 2], [-1])
    middle = block.shape[-1] // 2
    block = block[..., middle - config.calibration_width // 2 : middle + config.calibration_width // 2]
    crop = float(rng.choice(config.crops))
    maps_cyx, _ = espirit_maps(block.contiguous(), (hybrid_cyx.shape[1], hybrid_cyx.shape[2]), crop=crop)
    return maps_cyx
