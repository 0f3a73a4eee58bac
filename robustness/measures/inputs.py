"""Where a perturbation enters, and how large it may be.

It enters in the sampled k-space, in the image A^H y, or only in the start of the unrolling. With strength s and the peak p of the
target, over the n complex numbers that may change:

* ``linf``: every real and every imaginary part within ``[-s p, s p]``;
* ``l2``: ``|delta|_2 <= s p sqrt(2 n)``, the energy of the strongest ``linf`` perturbation.

So equal strengths allow equal energy, the ``l2`` ball holds the ``linf`` one, and Gaussian noise of standard deviation s p on both
parts has about that energy too. Transforms are orthonormal: k-space and image share the unit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from smug_recon.physics import ifft_centred
from smug_recon.physics.sense import broadcast_mask
from smug_recon.robustness.scenes.scene import Scene
from smug_recon.training.ball import Ball


def clean(scene: Scene, domain: str) -> Tensor:
    """Return the unperturbed data of a domain."""
    return scene.kspace_bcyx if domain == "kspace" else scene.adjoint_byx


def disturbed(scene: Scene, domain: str, delta: Tensor) -> Tensor:
    """Add a perturbation to the data of a domain.

    In k-space it is one of (ky, kx) samples, also where the scene lies in hybrid space: it is transformed along the readout, as the
    samples were.
    """
    if domain == "kspace" and scene.mask.dim() == 2:
        return scene.kspace_bcyx + ifft_centred(delta, [-1])
    return clean(scene, domain) + delta


def ball(scene: Scene, domain: str, norm: str, strength: float) -> Ball:
    """Return the perturbations of a strength."""
    support = _support(scene, domain)
    limit = strength * scene.peak
    radius = limit if norm == "linf" else float(limit * (2 * support.sum()) ** 0.5)
    return Ball(norm, torch.tensor([radius], dtype=torch.float64, device=support.device), support)


def gaussian(scene: Scene, domain: str, strength: float, seed: int) -> Tensor:
    """Draw Gaussian noise of standard deviation ``strength * peak`` on real and imaginary part of what may change."""
    support = _support(scene, domain)
    generator = torch.Generator(device="cpu").manual_seed(seed)
    parts = torch.randn((2, *support.shape), generator=generator) * (strength * scene.peak)
    return torch.complex(parts[0], parts[1]).to(support.device) * support


def _support(scene: Scene, domain: str) -> Tensor:
    """Return 1 where a domain may change: sampled positions of active coils, or all pixels of the image."""
    if domain != "kspace":
        return torch.ones_like(scene.target_byx.real)
    active = (scene.maps_bcyx.abs().amax([2, 3]) > 0).float()[:, :, None, None]
    return (broadcast_mask(scene.mask) * active).expand(scene.kspace_bcyx.shape)
