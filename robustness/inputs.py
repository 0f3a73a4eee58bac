"""Where a perturbation enters: the sampled k-space, the image A^H y, or only the start of the unrolling."""

from __future__ import annotations

import torch
from torch import Tensor

from smug_recon.physics import ifft_centred
from smug_recon.physics.sense import broadcast_mask
from smug_recon.robustness.ball import Ball
from smug_recon.robustness.scenes import Scene


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
    """Return the perturbations of a strength: of sampled positions of active coils, or of all pixels of the image."""
    if domain != "kspace":
        return Ball(norm, strength * scene.peak, torch.ones_like(scene.target_byx.real))
    active = (scene.maps_bcyx.abs().amax([2, 3]) > 0).float()[:, :, None, None]
    support = (broadcast_mask(scene.mask) * active).expand(scene.kspace_bcyx.shape)
    return Ball(norm, strength * scene.peak, support)


def gaussian(scene: Scene, domain: str, strength: float, seed: int) -> Tensor:
    """Draw Gaussian noise of standard deviation ``strength * peak`` on real and imaginary part of what may change."""
    allowed = ball(scene, domain, "l2", strength)
    generator = torch.Generator(device="cpu").manual_seed(seed)
    parts = torch.randn((2, *allowed.support.shape), generator=generator) * allowed.limit
    return torch.complex(parts[0], parts[1]).to(allowed.support.device) * allowed.support
