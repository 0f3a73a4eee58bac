"""Thermal noise of a receive array: correlated between coils, white in time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def array_covariance(
    maps_cn: NDArray[np.complex64], rng: np.random.Generator, coupling: float = 0.6
) -> NDArray[np.complex128]:
    """Return a noise covariance between coils of mean variance 1.

    The body's share of the noise follows the overlap of the sensitivities, ``sum_n S_c(n) S_d(n)^*`` (Roemer
    et al. 1990, DOI 10.1002/mrm.1910160203, with the magnetic in place of the electric field); coil and
    preamplifier add an uncorrelated share ``1 - coupling``; gains differ by some 15 %.
    """
    flat_cn = maps_cn.reshape(len(maps_cn), -1).astype(np.complex128)
    overlap_cc = flat_cn @ flat_cn.conj().T
    norm_c = np.sqrt(np.maximum(np.diag(overlap_cc).real, 1e-30))
    correlation_cc = coupling * overlap_cc / np.outer(norm_c, norm_c) + (1 - coupling) * np.eye(len(norm_c))
    gain_c = rng.normal(1, 0.15, len(norm_c)).clip(0.6, 1.4)
    covariance_cc = correlation_cc * np.outer(gain_c, gain_c)
    return covariance_cc / np.mean(np.diag(covariance_cc).real)


def covariance_for_snr(
    maps_cn: NDArray[np.complex64], signal_cn: NDArray[np.complex64], snr: float, rng: np.random.Generator
) -> NDArray[np.complex128]:
    """Return the noise covariance of a sample at which coil signals in the head (coil, pixel) have a mean
    signal-to-noise ratio ``sqrt(2 s^H C^-1 s)`` of ``snr``, after optimal combination; zero for ``inf``.
    """
    covariance_cc = array_covariance(maps_cn[:, ::7], rng)
    if math.isinf(snr):
        return np.zeros_like(covariance_cc)
    signal_cn = signal_cn.astype(np.complex128)
    square_n = (signal_cn.conj() * np.linalg.solve(covariance_cc, signal_cn)).sum(0).real
    return covariance_cc * (np.sqrt(2 * square_n).mean() / snr) ** 2


def correlated_noise(
    covariance_cc: NDArray[np.complex128], samples: int, rng: np.random.Generator
) -> NDArray[np.complex64]:
    """Draw circular complex Gaussian noise (coil, sample) with ``E[n n^H] = covariance_cc``."""
    if not np.any(covariance_cc):
        return np.zeros((len(covariance_cc), samples), np.complex64)
    white = rng.standard_normal((2, len(covariance_cc), samples), dtype=np.float32)
    mix_cc = (np.linalg.cholesky(covariance_cc) / np.sqrt(2)).astype(np.complex64)
    return mix_cc @ (white[0] + np.complex64(1j) * white[1])
