"""The phase reference of coil maps: a combination of coils that sees every part of the object.

Maps are known up to a phase at each point. The usual choices leave points where that phase is undefined: a
single coil vanishes far from it, and the strongest principal component often has a null inside the object,
around which the phase of the image winds. The combination found here keeps its distance from zero as well as
a fixed combination can.
"""

from __future__ import annotations

import torch
from torch import Tensor

_FLOOR = 0.01  # |u^H s|^2 below which a point pulls no harder
_STEPS = 30
_STRIDE = 0.3


def principal_coil(calibration_cyx: Tensor) -> Tensor:
    """Return the first principal component (c) of the coils: the top eigenvector of ``sum_k y(k) y(k)^H``."""
    samples_cn = calibration_cyx.flatten(1)
    _, vectors = torch.linalg.eigh(samples_cn @ samples_cn.mH)
    return vectors[:, -1]


def reference_coil(vectors_nc: Tensor, weights_n: Tensor, start_c: Tensor) -> Tensor:
    """Return the unit vector u that maximises ``sum_n w_n log(|u^H s_n|^2 + 0.01)``, by gradient ascent.

    Args:
        vectors_nc: unit map vectors s_n at some points. weights_n: weight of each point; all zero returns
            the start.
        start_c: the first guess, usually :func:`principal_coil`.

    Returns:
        ``u`` of shape (c), its largest component real and positive, so that its phase hangs on the coils
        alone.
    """
    share_n = weights_n / weights_n.sum().clamp_min(1e-12)
    u = start_c
    for _ in range(_STEPS):
        overlap_n = vectors_nc.conj() @ u
        pull_n = share_n * overlap_n / (overlap_n.abs().square() + _FLOOR)
        gradient = vectors_nc.mT @ pull_n
        gradient = gradient - u * torch.vdot(u, gradient)
        u = u + _STRIDE * gradient / torch.linalg.vector_norm(gradient).clamp_min(1.0)
        u = u / torch.linalg.vector_norm(u)
    largest = u[u.abs().argmax()]
    return u * (largest.conj() / largest.abs())
