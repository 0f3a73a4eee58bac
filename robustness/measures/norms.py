"""How large a perturbation or an image is, as one number."""

from __future__ import annotations

from torch import Tensor

from smug_recon.training.ball import l2_norm_b, linf_norm_b


def l2_norm(data: Tensor) -> float:
    """Return the Euclidean norm of complex data."""
    return float(l2_norm_b(data[None]))


def linf_norm(data: Tensor) -> float:
    """Return the largest real or imaginary part in absolute value."""
    return float(linf_norm_b(data[None]))
