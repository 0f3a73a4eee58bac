"""Compressed sensing with a wavelet prior, by sigpy: the best that is usual without training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from smug_recon.physics import fft_centred
from smug_recon.physics.sense import broadcast_mask
from smug_recon.robustness.scenes.scene import Scene


@dataclass
class L1Wavelet:
    """``argmin 1/2 |A x - y|^2 + regularisation |W x|_1``, W Daubechies-4 (Lustig 2007, DOI 10.1002/mrm.21391), on the CPU.

    Not differentiated: attacks on it are transferred ones. The step length is 1, as maps of unit norm allow.
    """

    regularisation: float
    iterations: int = 50
    name: str = "l1-wavelet"
    linear: bool = False
    stochastic: bool = False

    @property
    def model(self) -> str:
        """The setting in place of a model."""
        return f"regularisation={self.regularisation:g}"

    def from_kspace(self, kspace_bcyx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Solve each slice."""
        from sigpy.mri.app import L1WaveletRecon

        hybrid = scene.mask.dim() == 2
        kspace_bcyx = fft_centred(kspace_bcyx, [-1]) if hybrid else kspace_bcyx
        weights = broadcast_mask(scene.mask).expand(kspace_bcyx.shape[0], 1, *kspace_bcyx.shape[2:])
        images = [
            L1WaveletRecon(
                kspace_bcyx[b].detach().cpu().numpy(),
                scene.maps_bcyx[b].cpu().numpy(),
                self.regularisation,
                weights=weights[b].cpu().numpy().astype(np.float32),
                max_iter=self.iterations,
                alpha=1,
                show_pbar=False,
            ).run()
            for b in range(kspace_bcyx.shape[0])
        ]
        return torch.from_numpy(np.stack(images).astype(np.complex64)).to(kspace_bcyx.device)

    def from_start(self, start_byx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Solve for the scene's own data: the problem is convex, its solution does not depend on the start."""
        return self.from_kspace(scene.kspace_bcyx, scene, seed)

    def from_adjoint(self, adjoint_byx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Solve from A^H y alone is not possible with this library: FISTA on the normal equations takes its place.

        ``x <- W^H soft(W (v + A^H y - A^H A v), regularisation)``, v the extrapolated iterate (Beck and Teboulle 2009,
        DOI 10.1137/080716542).
        """
        import sigpy as sp

        from smug_recon.physics import sense_adjoint, sense_forward

        images = []
        for b in range(adjoint_byx.shape[0]):
            maps, mask = scene.maps_bcyx[b : b + 1], scene.mask[b : b + 1]
            wavelet = sp.linop.Wavelet(tuple(adjoint_byx.shape[1:]), wave_name="db4")
            rhs = adjoint_byx[b : b + 1].detach()
            x, v, t = torch.zeros_like(rhs), torch.zeros_like(rhs), 1.0
            for _ in range(self.iterations):
                descent = v + rhs - sense_adjoint(sense_forward(v, maps, mask), maps, mask)
                coefficients = sp.thresh.soft_thresh(self.regularisation, wavelet(descent[0].cpu().numpy()))
                renewed = torch.from_numpy((wavelet.H * coefficients).astype(np.complex64))[None].to(
                    rhs.device
                )
                following = (1 + (1 + 4 * t * t) ** 0.5) / 2
                v = renewed + (t - 1) / following * (renewed - x)
                x, t = renewed, following
            images.append(x[0])
        return torch.stack(images)
