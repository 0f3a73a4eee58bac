"""Small lesions: is a faint one still seen, and is one seen where there is none?

The lesion is a Gaussian blob added to the object (in its own phase) and, through the coil maps, to the acquired k-space. Where it
lies is drawn in tissue. Whether it is seen is asked by a matched filter without response to a constant, the template of the
ideal observer in white noise on an unknown background (Barrett and Myers 2004, Foundations of Image Science, chapter 13).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from smug_recon.physics import sense_forward
from smug_recon.robustness.scenes.scene import Scene

TISSUE = 0.15  # of the peak: darker pixels, smoothed, count as air or bone


def gaussian_blob(size_px: float) -> Tensor:
    """Return a blob of peak 1 and standard deviation ``size_px`` on a square grid of six deviations to each side."""
    reach = int(np.ceil(6 * size_px))
    r = torch.arange(-reach, reach + 1, dtype=torch.float32)
    return torch.exp(-(r[:, None].square() + r[None].square()) / (2 * size_px**2))


def matched_filter(size_px: float) -> Tensor:
    """Return the filter that answers 1 to the blob and 0 to a constant, inside three deviations."""
    blob = gaussian_blob(size_px)
    reach = blob.shape[0] // 2
    r = torch.arange(-reach, reach + 1, dtype=torch.float32)
    near = (r[:, None].square() + r[None].square() <= (3 * size_px) ** 2).float()
    template = near * (blob - (near * blob).sum() / near.sum())
    return template / (template * blob).sum()


def response(image_yx: Tensor, size_px: float) -> Tensor:
    """Return the matched filter's answer everywhere: the amplitude of a blob there, in units of the image."""
    kernel = matched_filter(size_px).to(image_yx.device)
    return functional.conv2d(image_yx[None, None], kernel[None, None], padding=kernel.shape[0] // 2)[0, 0]


def tissue(scene: Scene, size_px: float) -> Tensor:
    """Return where a whole lesion lies in tissue, bool (y, x): the smoothed magnitude is high within three deviations."""
    magnitude = scene.target_byx[0].abs()[None, None]
    smooth = functional.avg_pool2d(magnitude, 5, stride=1, padding=2)[0, 0]
    inside = (smooth > TISSUE * scene.peak).float()
    reach = 2 * int(np.ceil(3 * size_px)) + 1
    air_near = functional.max_pool2d(1 - inside[None, None], reach, stride=1, padding=reach // 2)[0, 0]
    return air_near == 0


@dataclass(frozen=True)
class Lesion:
    """A planted lesion: complex image of it, and where it lies."""

    image_byx: Tensor
    place_yx: tuple[int, int]
    size_px: float
    amplitude: float


def plant(scene: Scene, contrast: float, size_px: float, seed: int) -> tuple[Scene, Lesion] | None:
    """Return the scene with a lesion brighter than the tissue around by ``contrast``, or None where nothing is large enough.

    Args:
        scene: of the slice without it. contrast: relative to the mean magnitude under the lesion. size_px: standard deviation.
        seed: of the place.
    """
    found = place(scene, size_px, seed)
    if found is None:
        return None
    y, x = found
    rows, columns = scene.target_byx.shape[1:]
    blob = gaussian_blob(size_px).to(scene.target_byx.device)
    reach = blob.shape[0] // 2
    canvas = torch.zeros(rows + 2 * reach, columns + 2 * reach, device=blob.device)
    canvas[y : y + 2 * reach + 1, x : x + 2 * reach + 1] = blob
    shape_yx = canvas[reach : reach + rows, reach : reach + columns]
    target_yx = scene.target_byx[0]
    around = (shape_yx * target_yx.abs()).sum() / shape_yx.sum()
    summed = (shape_yx * target_yx).sum()  # the phase of the tissue under the lesion
    amplitude = contrast * float(around)
    image_byx = (amplitude * shape_yx * summed / summed.abs().clamp_min(1e-20))[None]
    kspace = scene.kspace_bcyx + sense_forward(image_byx, scene.maps_bcyx, scene.mask)
    with_lesion = replace(scene, kspace_bcyx=kspace, target_byx=scene.target_byx + image_byx)
    return with_lesion, Lesion(image_byx, found, size_px, amplitude)


def place(scene: Scene, size_px: float, seed: int) -> tuple[int, int] | None:
    """Draw a place in tissue where the slice itself is quiet: among the half with the smaller filter response."""
    inside = tissue(scene, size_px)
    if not bool(inside.any()):
        return None
    own = response(scene.target_byx[0].abs(), size_px).abs()
    candidates = torch.nonzero(inside & (own <= own[inside].median())).cpu()
    y, x = candidates[int(np.random.default_rng(seed).integers(len(candidates)))].tolist()
    return int(y), int(x)


def recovered(with_byx: Tensor, without_byx: Tensor, lesion: Lesion) -> Tensor:
    """Return the share of the lesion's contrast that the image shows: ``Re <x_with - x_without, l> / <l, l>``; 1 is all of it."""
    shape = lesion.image_byx
    inner = ((with_byx - without_byx) * shape.conj()).real.sum()
    return inner / shape.abs().square().sum()


def visibility(image_byx: Tensor, lesion: Lesion, inside_yx: Tensor) -> Tensor:
    """Return the filter's answer at the lesion over the standard deviation of its answers elsewhere in tissue (a CNR)."""
    answers = response(image_byx[0].abs(), lesion.size_px)
    y, x = lesion.place_yx
    away = inside_yx.clone()
    reach = int(np.ceil(4 * lesion.size_px))
    away[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = False
    others = answers[away] if int(away.sum()) > 8 else answers.flatten()
    return answers[y, x] / others.std().clamp_min(1e-12)


def largest_false(image_byx: Tensor, target_byx: Tensor, inside_yx: Tensor, size_px: float) -> Tensor:
    """Return the largest blob, bright or dark, in the error of the magnitude within tissue: hallucinated or wiped out."""
    answers = response(image_byx[0].abs() - target_byx[0].abs(), size_px).abs()
    return (answers * inside_yx).max()
