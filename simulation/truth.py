"""What a simulated scan really was, for comparison with what is reconstructed from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Truth:
    """Noise-free, fully sampled reference of a scan; ``s`` is the slice here.

    Attributes:
        whitened_syx: the same after noise prewhitening, ``|m| sqrt(S^H C^-1 S)``, with the overall level of
            ``image_syx``: what a chain that prewhitens converges to, shaded a little differently.
        image_syx: complex images as the combination of the coil images with unit-norm maps gives them (the
            magnetisation times the root-sum-of-squares of the sensitivities). maps_scyx: those maps.
        inside_syx: share of each pixel that lies in the head, 0..1. mask_y: sampled imaging lines.
        covariance_cc: of the noise in one acquired sample, ``E[n n^H]``. noise_scan_covariance_cc: the same
            in the noise scan.
    """

    image_syx: NDArray[np.complex64]
    whitened_syx: NDArray[np.complex64]
    maps_scyx: NDArray[np.complex64]
    inside_syx: NDArray[np.float32]
    mask_y: NDArray[np.bool_]
    covariance_cc: NDArray[np.complex128]
    noise_scan_covariance_cc: NDArray[np.complex128]


def write_truth(truth: Truth, path: Path) -> None:
    """Write the arrays of the truth as datasets of the same names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, value in vars(truth).items():
            file.create_dataset(name, data=value)


def read_truth(path: Path) -> Truth:
    """Read what :func:`write_truth` wrote."""
    with h5py.File(path, "r") as file:
        return Truth(**{name: file[name][()] for name in Truth.__dataclass_fields__})
