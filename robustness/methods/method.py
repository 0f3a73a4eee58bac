"""What is compared. Every method reconstructs from k-space and from A^H y, on any device, with gradients where it has any.

From A^H y, the perturbed image start also enters data consistency, as in the papers (arXiv 2303.12735): the method takes what it
is given for A^H y. It need not lie in the range of A^H, so no scanner can produce most such perturbations, and outside that
range data consistency itself amplifies them by 1 / lambda, CG-SENSE's like any other. From a start alone data consistency keeps
the measured data: what then goes wrong is the network's.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from smug_recon.robustness.scenes.scene import Scene


class Method(Protocol):
    """A reconstruction.

    ``linear``: the image is linear in the data. ``stochastic``: the seed matters.
    """

    name: str
    model: str
    linear: bool
    stochastic: bool

    def from_kspace(self, kspace_bcyx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Reconstruct from sampled k-space; maps and mask are the scene's."""
        ...

    def from_adjoint(self, adjoint_byx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Reconstruct from an image A^H y; maps, mask and noise level are the scene's."""
        ...

    def from_start(self, start_byx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Reconstruct the scene's own data beginning with another image; linear methods do not depend on it."""
        ...


def reconstruct(method: Method, domain: str, data: Tensor, scene: Scene, seed: int) -> Tensor:
    """Reconstruct from data of the domain ``kspace``, ``adjoint`` or ``start``; returns (b, y, x)."""
    if domain == "kspace":
        return method.from_kspace(data, scene, seed)
    if domain == "start":
        return method.from_start(data, scene, seed)
    return method.from_adjoint(data, scene, seed)
