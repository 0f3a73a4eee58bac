"""CG-SENSE with several sets of coil maps (soft-SENSE, Uecker et al. 2014, DOI 10.1002/mrm.24751).

Where the head folds into the field of view every point holds two images, ``y = M F sum_s S_s x_s``: one set
of maps cannot explain both.
"""

from __future__ import annotations

import torch
from torch import Tensor

from smug_recon.physics.cg import cg_step, energy_of
from smug_recon.physics.fourier import fft_centred, ifft_centred
from smug_recon.physics.sense import broadcast_mask, transform_axes


def soft_forward(image_bsyx: Tensor, maps_bscyx: Tensor, mask: Tensor) -> Tensor:
    """Apply A: ``M F (sum_s S_s x_s)``, shape (b, c, y, x); the mask as in :mod:`smug_recon.physics.sense`."""
    coil_images_bcyx = (maps_bscyx * image_bsyx[:, :, None]).sum(1)
    return broadcast_mask(mask) * fft_centred(coil_images_bcyx, transform_axes(mask))


def soft_adjoint(kspace_bcyx: Tensor, maps_bscyx: Tensor, mask: Tensor) -> Tensor:
    """Apply A^H: ``x_s = sum_c conj(S_sc) F^H M y_c`` for every set, shape (b, s, y, x)."""
    coil_images_bcyx = ifft_centred(broadcast_mask(mask) * kspace_bcyx, transform_axes(mask))
    return (maps_bscyx.conj() * coil_images_bcyx[:, None]).sum(2)


def soft_sense(
    kspace_bcyx: Tensor,
    maps_bscyx: Tensor,
    mask: Tensor,
    regularisation: float = 1e-2,
    iterations: int = 30,
    tolerance: float = 1e-5,
) -> Tensor:
    """Return ``argmin |sum_s A_s x_s - y|^2 + regularisation |x|^2`` for each slice, shape (b, s, y, x).

    With one set it is :func:`smug_recon.physics.cg_sense`. Where the maps of the sets are orthogonal, the
    root-sum-of-squares over the sets is that of the coil images.
    """
    sampled = mask > 0  # a mask of weights counts once: A^H W A
    rhs = soft_adjoint(kspace_bcyx, maps_bscyx, mask)
    x = torch.zeros_like(rhs)
    residual, direction = rhs, rhs
    energy = energy_of(residual)
    goal = energy * tolerance**2
    done = 0
    while done < iterations and bool((energy > goal).any()):
        applied = soft_adjoint(soft_forward(direction, maps_bscyx, sampled), maps_bscyx, mask)
        applied = applied + regularisation * direction
        x, residual, direction, energy = cg_step(x, residual, direction, applied, energy, goal)
        done += 1
    return x
