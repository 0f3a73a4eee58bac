"""What a simulated scan really was, for comparison with what is reconstructed from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

COUNTERS = ("slice", "partition", "contrast", "phase", "repetition", "set")
Allocate = Callable[[str, tuple[int, ...], Any], Any]
"""Makes room for an array of a name, shape and type: ``numpy.zeros`` or a dataset on disk."""


def _empty() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Truth:
    """Noise-free, fully sampled reference of a scan; ``s`` runs over images in ``image_syx``, over slices or
    partitions (locations) in ``maps_scyx``.

    Attributes:
        whitened_syx: the same after noise prewhitening, ``|m| sqrt(S^H C^-1 S)``, with the overall level of
            ``image_syx``: what a chain that prewhitens converges to, shaded a little differently.
        image_syx: complex images as the combination of the coil images with unit-norm maps gives them (the
            magnetisation times the root-sum-of-squares of the sensitivities), on the recon matrix.
            maps_scyx: those maps, on the encoded matrix.
        inside_syx: share of each pixel that lies in the head, 0..1, of every location. mask_y: sampled lines
            of the encoded matrix. mask_zy: sampled positions of the encoded matrix.
        covariance_cc: of the noise in one acquired sample, ``E[n n^H]``. noise_scan_covariance_cc: the same
            in the noise scan.
        slice_s, partition_s, contrast_s, phase_s, repetition_s, set_s: counters of every image.
    """

    image_syx: NDArray[np.complex64]
    whitened_syx: NDArray[np.complex64]
    maps_scyx: NDArray[np.complex64]
    inside_syx: NDArray[np.float32]
    mask_y: NDArray[np.bool_]
    covariance_cc: NDArray[np.complex128]
    noise_scan_covariance_cc: NDArray[np.complex128]
    mask_zy: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))
    slice_s: NDArray[np.int64] = field(default_factory=_empty)
    partition_s: NDArray[np.int64] = field(default_factory=_empty)
    contrast_s: NDArray[np.int64] = field(default_factory=_empty)
    phase_s: NDArray[np.int64] = field(default_factory=_empty)
    repetition_s: NDArray[np.int64] = field(default_factory=_empty)
    set_s: NDArray[np.int64] = field(default_factory=_empty)


def write_truth(truth: Truth, path: Path) -> None:
    """Write the arrays of the truth as datasets of the same names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, value in vars(truth).items():
            file.create_dataset(name, data=value)


def read_truth(path: Path) -> Truth:
    """Read what :func:`write_truth` wrote; arrays that an older file does not have stay empty."""
    with h5py.File(path, "r") as file:
        return Truth(**{name: file[name][()] for name in Truth.__dataclass_fields__ if name in file})
