"""Centred, orthonormal Fourier transforms: sample ``n // 2`` is the centre in both domains, for even and odd sizes."""

from __future__ import annotations

import torch
from torch import Tensor


def fft_centred(image: Tensor, dims: list[int]) -> Tensor:
    """Transform image space to k-space along ``dims``: ``fftshift(fft(ifftshift(image)))``, orthonormal.

    Args:
        image: complex tensor of any shape.
        dims: the axes to transform.
    """
    shifted = torch.fft.ifftshift(image, dim=dims)
    return torch.fft.fftshift(torch.fft.fftn(shifted, dim=dims, norm="ortho"), dim=dims)


def ifft_centred(kspace: Tensor, dims: list[int]) -> Tensor:
    """Transform k-space to image space along ``dims``; the inverse and the adjoint of :func:`fft_centred`."""
    shifted = torch.fft.ifftshift(kspace, dim=dims)
    return torch.fft.fftshift(torch.fft.ifftn(shifted, dim=dims, norm="ortho"), dim=dims)
