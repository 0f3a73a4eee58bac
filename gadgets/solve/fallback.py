"""The conventional reconstruction, and what takes its place: CG-SENSE, then the root of the sum of squares.

    CG-SENSE on the device of the network ──▶ CG-SENSE on the CPU ──▶ sqrt(sum_c |F^-1 y_c|^2) of the acquired lines

The first that gives finite values is taken. The last step needs neither coil maps nor iterations and cannot fail.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from smug_recon.gadgets.model.answered import answered
from smug_recon.gadgets.model.reasons import short
from smug_recon.physics import ifft_centred

log = logging.getLogger(__name__)

CG_SENSE = "CG-SENSE"
RSS = "RSS"
ZERO_FILLED = "root-sum-of-squares of the acquired lines, zero-filled: undersampling is not resolved"
"""What is said of an image of the last resort."""


def conventional(
    kspace_bcyx: Tensor, axes: Sequence[int], solve: Callable[[torch.device], Tensor], device: torch.device
) -> tuple[Tensor, str, str]:
    """Return ``image_byx`` on the CPU, complex64 and finite, its method, and why it is not CG-SENSE (or nothing).

    Args:
        kspace_bcyx: zero where not sampled, for the last resort; samples that are not finite count as zero there.
        axes: those that are not yet transformed: ``[2]`` for hybrid space (ky, x), ``[2, 3]`` for k-space.
        solve: CG-SENSE on a device, ``image_byx``.
        device: where it is tried first.
    """
    reason = ""
    for where in dict.fromkeys((device, torch.device("cpu"))):
        try:
            with torch.inference_mode():
                image_byx = answered(partial(_solved, solve, where), where)
            if finite(image_byx):
                return image_byx, CG_SENSE, ""
            reason = "values that are not finite"
        except Exception as error:  # whatever it is, the next step of the ladder does not depend on it
            reason = short(error)
        log.warning("CG-SENSE failed on %s: %s", where, reason)
    return root_sum_of_squares(kspace_bcyx, axes), RSS, reason


def _solved(solve: Callable[[torch.device], Tensor], where: torch.device) -> Tensor:
    return solve(where).to("cpu", torch.complex64)


def root_sum_of_squares(kspace_bcyx: Tensor, axes: Sequence[int]) -> Tensor:
    """Return ``sqrt(sum_c |F^-1 y_c|^2)`` as complex64 (b, y, x), on the CPU; finite whatever comes in."""
    samples = torch.nan_to_num(torch.view_as_real(kspace_bcyx.cpu().resolve_conj()), 0.0, 0.0, 0.0)
    peak = samples.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    images = ifft_centred(torch.view_as_complex(samples / peak), list(axes))
    size_byx = images.abs().square().sum(1).sqrt() * peak
    return torch.nan_to_num(size_byx, 0.0, torch.finfo(torch.float32).max).to(torch.complex64)


def finite(image: Tensor) -> bool:
    """Whether all real and imaginary parts are finite."""
    return bool(torch.isfinite(torch.view_as_real(image.resolve_conj())).all())
