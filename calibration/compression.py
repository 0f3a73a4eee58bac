"""Coil compression: fewer virtual coils that hold nearly all of the signal, from calibration data.

One matrix for the whole scan (SVD; Buehrer et al. 2007, DOI 10.1002/mrm.21237), or one for every readout
position, aligned from one position to the next (GCC; Zhang et al. 2013, DOI 10.1002/mrm.24267). In hybrid
space both are the same few lines: the readout position is an axis of the data. The rows of every matrix are
orthonormal, so white noise stays white, and with all channels kept nothing is lost.
"""

from __future__ import annotations

import torch
from torch import Tensor

_WINDOW_X = 5  # readout positions whose covariance is added up for GCC


def coil_modes(calibration_cyx: Tensor, method: str) -> tuple[Tensor, Tensor]:
    """Return the principal modes of the channels, the strongest first, and the energy in each.

    Args:
        calibration_cyx: calibration lines in hybrid space (ky, x); they need not be contiguous.
        method: ``svd`` for one set of modes, ``gcc`` for one at every readout position.

    Returns:
        ``modes_xcc`` (rows are modes; for ``svd`` x has size 1), unitary, and ``energy_xc``, descending.
    """
    if method == "svd":
        samples_cn = calibration_cyx.flatten(1)
        covariance_xcc = (samples_cn @ samples_cn.mH)[None]
    else:
        samples_xcy = calibration_cyx.permute(2, 0, 1)
        covariance_xcc = _smoothed(samples_xcy @ samples_xcy.mH)
    scale = covariance_xcc.diagonal(dim1=-2, dim2=-1).real.amax()
    covariance_xcc = covariance_xcc / torch.where(scale > 0, scale, torch.ones_like(scale))
    energy_xc, vectors_xcc = torch.linalg.eigh(covariance_xcc)
    return vectors_xcc.flip(-1).mH, energy_xc.flip(-1).clamp_min(0) * scale


def _smoothed(covariance_xcc: Tensor) -> Tensor:
    """Add up each position and its neighbours: a position with little signal does not rotate at random."""
    reach = _WINDOW_X // 2
    found = covariance_xcc.clone()
    for step in range(1, reach + 1):
        found[step:] += covariance_xcc[:-step]
        found[:-step] += covariance_xcc[step:]
    return found


def energy_kept(energy_xc: Tensor, channels: int) -> float:
    """Return the share of the energy that the first ``channels`` modes hold, 0 to 1; 1 where there is none."""
    total = float(energy_xc.sum())
    return float(energy_xc[:, :channels].sum()) / total if total > 0 else 1.0


def channels_for(energy_xc: Tensor, share: float) -> int:
    """Return the fewest channels that hold at least ``share`` of the energy at all positions together."""
    total_c = energy_xc.to(torch.float64).sum(0).cumsum(0)
    if float(total_c[-1]) <= 0:
        return 1
    enough = total_c >= share * total_c[-1] * (1 - 1e-6)
    return int(enough.to(torch.int64).argmax()) + 1


def compression_matrix(modes_xcc: Tensor, energy_xc: Tensor, channels: int) -> Tensor:
    """Return ``matrix_xvc``, the first modes of every position, aligned with those of its neighbour.

    Modes are known up to a unitary mixing; the one that brings them closest to their neighbour's is ``P = V
    U^H`` of ``A_x A_(x-1)^H = U S V^H`` (Zhang et al. 2013, eq. 7), from the position with the most energy
    outwards. Without it maps of virtual coils would jump along the readout.
    """
    matrix_xvc = modes_xcc[:, :channels].clone()
    start = int(energy_xc.sum(-1).argmax())
    for x in [*range(start + 1, len(matrix_xvc)), *range(start - 1, -1, -1)]:
        before = matrix_xvc[x - 1 if x > start else x + 1]
        left, _, right = torch.linalg.svd(matrix_xvc[x] @ before.mH)
        matrix_xvc[x] = (left @ right).mH @ matrix_xvc[x]
    return matrix_xvc


def compress(hybrid_cyx: Tensor, matrix_xvc: Tensor) -> Tensor:
    """Return the virtual coils ``sum_c A_vc(x) k_c(y, x)`` of hybrid space, shape (v, y, x)."""
    if matrix_xvc.shape[0] == 1:
        return torch.einsum("vc,cyx->vyx", matrix_xvc[0], hybrid_cyx)
    return torch.einsum("xvc,cyx->vyx", matrix_xvc, hybrid_cyx)
