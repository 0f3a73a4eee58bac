"""The SENSE operator A = M F S (Pruessmann 1999, DOI 10.1002/(SICI)1522-2594(199911)42:5<952::AID-MRM16>3.0.CO;2-S).

S multiplies by the coil maps, F is the centred orthonormal Fourier transform, M keeps the sampled positions. The mask says
which transform is meant, so that the caller never has to:

* ``mask_byx`` (3 axes): any Cartesian mask, k-space is (ky, kx), F is two-dimensional;
* ``mask_by`` (2 axes): the mask depends on ky alone. The readout transform has been done already, "k-space" is hybrid space
  (ky, x), and F is one-dimensional along y. Both describe the same operator, since the readout transform is unitary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from smug_recon.physics.fourier import fft_centred, ifft_centred


def transform_axes(mask: Tensor) -> list[int]:
    """Return the axes that F transforms for this mask: ``[-2]`` for ``mask_by``, ``[-2, -1]`` for ``mask_byx``."""
    if mask.dim() == 2:
        return [-2]
    return [-2, -1]


def broadcast_mask(mask: Tensor) -> Tensor:
    """Return the mask with the axes (b, c, y, x), real."""
    if mask.dim() == 2:
        return mask[:, None, :, None].to(torch.float32)
    return mask[:, None].to(torch.float32)


def sense_forward(image_byx: Tensor, maps_bcyx: Tensor, mask: Tensor) -> Tensor:
    """Apply A: image to sampled multi-coil k-space, ``M F (S x)``.

    Args:
        image_byx: complex image.
        maps_bcyx: coil sensitivity maps.
        mask: ``mask_by`` (hybrid space) or ``mask_byx`` (k-space); see the head of this file.

    Returns:
        ``kspace_bcyx``, zero where not sampled.
    """
    return broadcast_mask(mask) * fft_centred(maps_bcyx * image_byx[:, None], transform_axes(mask))


def sense_adjoint(kspace_bcyx: Tensor, maps_bcyx: Tensor, mask: Tensor) -> Tensor:
    """Apply A^H: k-space to the coil-combined zero-filled image, ``sum_c conj(S_c) F^H M y_c``; shape (b, y, x)."""
    coil_images_bcyx = ifft_centred(broadcast_mask(mask) * kspace_bcyx, transform_axes(mask))
    return (maps_bcyx.conj() * coil_images_bcyx).sum(1)


def normal_operator(
    image_byx: Tensor, shifted_maps_bcyx: Tensor, shifted_mask_bcyx: Tensor, axes: list[int]
) -> Tensor:
    """Apply A^H A in shifted coordinates, where the transforms need no shifts.

    With P the half-size rotation, F_centred = P F P^-1; in A^H A the inner rotations meet the mask and the outer ones the
    image, so maps, mask and image are rotated once (``ifftshift``) instead of four times an application.
    """
    kspace_bcyx = torch.fft.fftn(shifted_maps_bcyx * image_byx[:, None], dim=axes, norm="ortho")
    coil_images_bcyx = torch.fft.ifftn(shifted_mask_bcyx * kspace_bcyx, dim=axes, norm="ortho")
    return (shifted_maps_bcyx.conj() * coil_images_bcyx).sum(1)
