"""Receive channels without a signal: unplugged, broken, or not there at all."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from smug_recon.calibration.noise import whitening_matrix

_SIGNAL = 4.0  # energy at the k-space centre over that of the noise, below which a channel has no signal
_NOTHING = 1e-12  # of the energy of the strongest channel
_CENTRE = 8  # lines, and samples of each, that hold the most signal
_FAR = 32  # lines from which the noise is estimated, at most, out of the outermost quarter


def silent_channels(hybrid_cyx: Tensor, distance_y: Tensor, mask_y: Tensor) -> Tensor:
    """Return which channels (bool, shape (c)) hold zeros or pure noise: ``E|k_centre|^2 < 4 E|k_far|^2``.

    The signal of an object is concentrated about the k-space centre, noise is as strong everywhere. The noise
    is that of the lines farthest out (median over their samples); 64 samples at the centre of pure noise are
    four times as strong with a probability below 1e-20. If no channel has a signal, none is silent: the scan
    is empty.

    Args:
        hybrid_cyx: hybrid space (ky, x). distance_y: how far each line lies from the k-space centre, in any
            unit. mask_y: which lines were sampled, at least one.
    """
    sampled = torch.nonzero(mask_y).flatten()
    order = sampled[distance_y[sampled].argsort(stable=True)]
    near = hybrid_cyx[:, order[:_CENTRE]]
    outermost = order[-max(1, len(order) // 4) :]
    far = hybrid_cyx[:, outermost[:: max(1, len(outermost) // _FAR)]]
    width = min(_CENTRE, hybrid_cyx.shape[-1])
    position_x = torch.arange(hybrid_cyx.shape[-1]) - hybrid_cyx.shape[-1] // 2
    turns_xk = position_x[:, None] * (torch.arange(width) - width // 2) / hybrid_cyx.shape[-1]
    waves_xk = torch.exp(-2j * math.pi * turns_xk.to(torch.float64)) / math.sqrt(hybrid_cyx.shape[-1])
    centre_c = (near @ waves_xk.to(near.dtype)).abs().square().flatten(1).mean(1)
    noise_c = _lower_median((far.real.square() + far.imag.square()).flatten(1)) / math.log(2)
    silent_c = (centre_c < _SIGNAL * noise_c) | (centre_c <= _NOTHING * centre_c.max())
    return torch.zeros_like(silent_c) if bool(silent_c.all()) else silent_c


def _lower_median(values_cn: Tensor) -> Tensor:
    """Return what ``Tensor.median`` does, by the partition of numpy, which takes a tenth of the time on a CPU."""
    if values_cn.is_cuda:
        return values_cn.median(1).values
    middle = (values_cn.shape[1] - 1) // 2
    return torch.from_numpy(np.partition(values_cn.numpy(), middle, axis=1)[:, middle].copy())


def whitening_without(whitening_cc: Tensor, left_out: tuple[int, ...]) -> Tensor:
    """Return the whitening matrix of the other channels, given the lower triangular one of all.

    The noise covariance of the channels that have noise is ``C = W^-1 W^-H``; dropping channels drops rows
    and columns of C, not of W.

    Raises:
        DataError: as :func:`smug_recon.calibration.whitening_matrix`.
    """
    coils = whitening_cc.shape[0]
    alive = torch.nonzero(whitening_cc.diagonal().real > 0)[:, 0]
    factor_cc = torch.linalg.inv(whitening_cc[alive][:, alive].to(torch.complex128))
    covariance_cc = torch.zeros((coils, coils), dtype=torch.complex128)
    covariance_cc[alive[:, None], alive] = factor_cc @ factor_cc.mH
    kept = torch.tensor([channel for channel in range(coils) if channel not in left_out])
    return whitening_matrix(covariance_cc[kept][:, kept])
