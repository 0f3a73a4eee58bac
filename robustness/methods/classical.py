"""Reconstructions without training that are linear in the data: A^H y itself, and CG-SENSE."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from smug_recon.physics import sense_adjoint
from smug_recon.physics.cg import data_consistency
from smug_recon.robustness.scenes.scene import Scene


@dataclass
class ZeroFilled:
    """A^H y itself."""

    name: str = "zero-filled"
    model: str = "none"
    linear: bool = True
    stochastic: bool = False

    def from_kspace(self, kspace_bcyx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Return A^H y."""
        return sense_adjoint(kspace_bcyx, scene.maps_bcyx, scene.mask)

    def from_adjoint(self, adjoint_byx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Return it as it is."""
        return adjoint_byx

    def from_start(self, start_byx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Return A^H y: there is no iteration to start."""
        return scene.adjoint_byx + 0 * start_byx


@dataclass
class CgSense:
    """``(A^H A + regularisation I)^-1 A^H y`` (Pruessmann 2001, DOI 10.1002/mrm.1241), differentiated implicitly."""

    regularisation: float
    iterations: int = 50
    name: str = "cg-sense"
    linear: bool = True
    stochastic: bool = False
    tolerance: float = 1e-5

    @property
    def model(self) -> str:
        """The setting in place of a model."""
        return f"regularisation={self.regularisation:g}"

    def from_kspace(self, kspace_bcyx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Solve from k-space."""
        return self.from_adjoint(sense_adjoint(kspace_bcyx, scene.maps_bcyx, scene.mask), scene, seed)

    def from_adjoint(self, adjoint_byx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Solve from A^H y."""
        weight_b = torch.full([adjoint_byx.shape[0]], self.regularisation, device=adjoint_byx.device)
        return data_consistency(
            adjoint_byx,
            torch.zeros_like(adjoint_byx),
            scene.maps_bcyx,
            scene.mask,
            weight_b,
            self.iterations,
            self.tolerance,
            True,
        )

    def from_start(self, start_byx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Solve for the scene's own data: the solution does not depend on the start."""
        return self.from_adjoint(scene.adjoint_byx, scene, seed) + 0 * start_byx
