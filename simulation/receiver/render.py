"""Slices of the head as the receiver sees them: band-limited, with phase, fat shifted along the readout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.anatomy.head import Head
from smug_recon.simulation.protocol.geometry import Stack
from smug_recon.simulation.receiver.phase import smooth_phase

FINE = 2  # points per pixel and direction
LAYERS = 2  # through the slice; the points within a pixel lie at different depths of their layer
FAT_SHIFT_HZ = 3.4e-6 * 123.2e6


def _kspace(image: NDArray) -> NDArray[np.complex64]:
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image))).astype(np.complex64)


def _crop(kspace: NDArray[np.complex64], shape_yx: tuple[int, int]) -> NDArray[np.complex64]:
    y, x = (whole // 2 - part // 2 for whole, part in zip(kspace.shape, shape_yx, strict=True))
    return kspace[y : y + shape_yx[0], x : x + shape_yx[1]]


def _image(kspace: NDArray[np.complex64], scale: float) -> NDArray[np.complex64]:
    return (np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace))) * scale).astype(np.complex64)


def render_slice(
    head: Head,
    stack: Stack,
    number: int,
    shape_yx: tuple[int, int],
    levels: Sequence[NDArray[np.float32]],
    thickness_mm: float,
    readout_s: float,
    rng: np.random.Generator,
    fine: int = FINE,
) -> tuple[list[NDArray[np.complex64]], NDArray[np.float32]]:
    """Return the transverse magnetisation (y, x) of one slice, once for each list of tissue signals, and the
    share of each pixel that lies in the head.

    Args:
        shape_yx: of the whole field of view, with the oversampled readout. levels: signal of every tissue.
        thickness_mm: of the slice.
        readout_s: duration of one readout; fat moves by ``FAT_SHIFT_HZ * readout_s`` pixels. rng: draws the
            phase, the same for all levels. fine: points per pixel and direction.
    """
    fine_yx = (fine * shape_yx[0], fine * shape_yx[1])
    points = fine_yx[0] * fine_yx[1]
    water, fat = (np.zeros((len(levels), points), np.float32) for _ in range(2))
    inside = np.zeros(points, np.float32)
    depth = np.tile((np.arange(fine**2).reshape(fine, fine) + 0.5) / fine**2, shape_yx)
    for layer in range(LAYERS):
        offset_mm = ((layer + depth) / LAYERS - 0.5) * thickness_mm
        points_mm = stack.points_mm(number, fine_yx, 1 / fine, offset_mm) * np.array([1, -1, 1], np.float32)
        near = head.near(points_mm)
        some_water, some_fat, some_inside = head.signals(points_mm[near], levels, stack.pixel_mm / fine)
        water[:, near] += some_water / LAYERS
        fat[:, near] += some_fat / LAYERS
        inside[near] += some_inside / LAYERS
    phase = np.exp(1j * smooth_phase(shape_yx, rng, 0.5))
    kx = np.arange(shape_yx[1]) - shape_yx[1] // 2
    shift = np.exp(-2j * np.pi * kx * FAT_SHIFT_HZ * readout_s / shape_yx[1])
    turn = np.exp(1j * rng.uniform(-0.6, 0.6))  # fat has its own phase at the echo
    images = []
    for some_water, some_fat in zip(water, fat, strict=True):
        kspace = _crop(_kspace(some_water.reshape(fine_yx)), shape_yx)
        kspace = kspace + turn * shift * _crop(_kspace(some_fat.reshape(fine_yx)), shape_yx)
        image = _image(kspace, 1 / fine**2) * phase.astype(np.complex64)
        images.append(image.astype(np.complex64))
    return images, inside.reshape(shape_yx[0], fine, shape_yx[1], fine).mean((1, 3))
