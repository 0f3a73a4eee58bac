"""Noise prewhitening: correlated receive channels become channels of independent noise of unit variance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from smug_recon.errors import DataError

_DEAD = 1e-12  # a channel's variance below this share of the largest: switched off
_AT_ONCE = (
    512  # samples whose products are summed in single precision; the sums are added up in double precision
)
_DEPENDENT = 1e-6  # share of a channel's variance that the channels before it do not explain


def noise_covariance(samples_cn: Tensor | Sequence[Tensor]) -> Tensor:
    """Return the noise covariance ``C = E[n n^H] = sum_n n n^H / N``, complex64, shape (c, c).

    The variance is that of the complex sample, the sum of the variances of its two parts; no mean is
    subtracted, since receiver noise has none.

    Args:
        samples_cn: complex noise samples, all noise readouts one after the other, or one by one.

    Raises:
        DataError: fewer than two samples for each channel, or samples that are not finite.
    """
    readouts_cn = [samples_cn] if isinstance(samples_cn, Tensor) else samples_cn
    coils, count = readouts_cn[0].shape[0], sum(part_cn.shape[1] for part_cn in readouts_cn)
    if count < 2 * coils:
        raise DataError(
            f"{count} noise samples for {coils} receive channels",
            f"at least {2 * coils} samples",
            "acquire a longer noise scan or switch prewhitening off",
        )
    covariance_cc = torch.zeros((coils, coils), dtype=torch.complex128, device=readouts_cn[0].device)
    for readout_cn in readouts_cn:
        for part_cn in readout_cn.split(_AT_ONCE, dim=1):
            covariance_cc += part_cn @ part_cn.mH
    covariance_cc /= count
    if not bool(torch.isfinite(torch.view_as_real(covariance_cc)).all()):
        raise DataError(
            "infinite or undefined noise samples",
            "finite samples",
            "look for a broken receive channel or a damaged raw file, or switch prewhitening off",
        )
    return covariance_cc.to(torch.complex64)


def dead_channels(covariance_cc: Tensor) -> Tensor:
    """Return which channels (bool, shape (c)) have no noise at all, like one without a receiver."""
    variance_c = covariance_cc.diagonal().real
    return variance_c <= _DEAD * variance_c.max()


def whitening_matrix(covariance_cc: Tensor) -> Tensor:
    """Return the lower triangular W with ``W C W^H = I``: the inverted Cholesky factor, complex64, (c, c).

    Whitened samples are ``W @ samples_cn`` (Pruessmann 2001, DOI 10.1002/mrm.1241). Channels are
    brought to equal variance first, so gains that differ by orders of magnitude lose no precision. Rows and
    columns of dead channels (:func:`dead_channels`) are zero: such a channel is switched off and ``W C W^H``
    is the identity on the others.

    Raises:
        DataError: no channel has noise, or the noise of one channel is a combination of that of others.
    """
    covariance_cc = covariance_cc.to(torch.complex128)
    alive_c = ~dead_channels(covariance_cc)
    if not bool(alive_c.any()) or not bool(torch.isfinite(torch.view_as_real(covariance_cc)).all()):
        raise DataError(
            "a noise scan in which no receive channel has noise",
            "noise in at least one channel",
            "check the noise scan or switch prewhitening off",
        )
    index = torch.nonzero(alive_c)[:, 0]
    live_cc = covariance_cc[index][:, index]
    gain_c = live_cc.diagonal().real.rsqrt()
    factor_cc, failed = torch.linalg.cholesky_ex(gain_c[:, None] * live_cc * gain_c)
    own = factor_cc.diagonal().real.square()
    if bool(failed) or bool((own < _DEPENDENT).any()):
        channel = int(index[int(failed) - 1 if bool(failed) else int(own.argmin())])
        raise DataError(
            f"receive channel {channel} whose noise is a combination of the channels before it",
            "channels with noise of their own",
            "remove the duplicate channel or switch prewhitening off",
        )
    scaling_cc = torch.diag(gain_c).to(factor_cc)
    live_whitening_cc = torch.linalg.solve_triangular(factor_cc, scaling_cc, upper=False)
    whitening_cc = torch.zeros_like(covariance_cc)
    whitening_cc[index[:, None], index] = live_whitening_cc
    return whitening_cc.to(torch.complex64)


def noise_scale(noise_dwell_us: float, acquisition_dwell_us: float, receiver_noise_bandwidth: float) -> float:
    """Return the factor that carries W from the noise scan to the imaging scan: ``sqrt(T_acq / T_noise *
    b)``.

    Noise power follows the bandwidth, so a sample of dwell time T has variance N0 / T; the noise scan's
    receiver passes only the share b of its nominal bandwidth (about 0.79 for Siemens), so its variance is
    ``b N0 / T_noise``. Whitened samples then have a complex variance of 1. (Gadgetron and
    ismrmrd-python-tools multiply by sqrt(2) more: there, the real and the imaginary part have a variance of
    1 each. Hansen and Kellman 2015, DOI 10.1002/jmri.24687.)

    Args:
        noise_dwell_us: dwell time of the noise scan. acquisition_dwell_us: of the imaging scan, both in
            microseconds.
        receiver_noise_bandwidth: relativeReceiverNoiseBandwidth of the MRD header; 1 when it is absent.

    Raises:
        DataError: a value that is not a positive finite number.
    """
    values = (noise_dwell_us, acquisition_dwell_us, receiver_noise_bandwidth)
    if not all(math.isfinite(value) and value > 0 for value in values):
        raise DataError(
            f"noise dwell time {noise_dwell_us} us, acquisition dwell time {acquisition_dwell_us} us, "
            f"relative receiver noise bandwidth {receiver_noise_bandwidth}",
            "three positive numbers",
            "set sample_time_us of the acquisitions or switch prewhitening off",
        )
    return math.sqrt(acquisition_dwell_us / noise_dwell_us * receiver_noise_bandwidth)
