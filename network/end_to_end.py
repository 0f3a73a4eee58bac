"""RS-E2E: randomised smoothing of the whole network, the rival of smoothing inside every step (arXiv 2312.07784, section III-A)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from smug_recon.network.smoothing import SAMPLINGS, Plain, smoothing_noise
from smug_recon.network.unrolling import Unrolled, to_channels, to_complex
from smug_recon.physics.sense import sense_adjoint

READINGS = ("image", "kspace")


class RsE2E(Unrolled):
    """The mean of whole MoDL reconstructions from noisy inputs: ``mean_i f(input + e_i)``.

    Args:
        denoiser: D of the MoDL network. sigma: standard deviation of the noise on real and imaginary part, in units of the
            normalised image (``image``) or of the normalised sampled k-space of every coil (``kspace``).
        sampling: ``antithetic`` pairs or ``independent`` copies.
        reading: ``image``: noise on the start A^H y only, data consistency keeps the measured data; ``kspace``: noise on the
            sampled k-space, that is on the start and on the data of every data consistency alike.
        unrolling: goes to :class:`Unrolled`.
    """

    def __init__(
        self,
        denoiser: nn.Module,
        sigma: float = 0.01,
        sampling: str = "antithetic",
        reading: str = "image",
        **unrolling: Any,
    ) -> None:
        super().__init__(Plain(denoiser), **unrolling)
        self.sigma = sigma
        self.antithetic = sampling == SAMPLINGS[0]
        self.noisy_kspace = reading == READINGS[1]

    def unroll(
        self, adjoint_byx: Tensor, maps_bcyx: Tensor, mask: Tensor, level_b: Tensor, seed: int, samples: int
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Average whole reconstructions; the copies that are returned are those of the result, ``(s, b, 2, y, x)``."""
        if samples < 1:
            return self.run_steps(adjoint_byx, adjoint_byx, maps_bcyx, mask, level_b, seed, 0)
        images: list[Tensor] = []
        for noise_byx in self.noise(maps_bcyx, mask, seed, samples):
            start_byx = adjoint_byx + noise_byx
            measured_byx = start_byx if self.noisy_kspace else adjoint_byx
            images.append(self.run_steps(start_byx, measured_byx, maps_bcyx, mask, level_b, seed, 0)[0])
        copies = torch.stack([to_channels(image) for image in images])
        weights = torch.ones([copies.shape[0], copies.shape[1]], device=copies.device)
        return torch.stack(images).mean(0), [copies], [weights]

    def noise(self, maps_bcyx: Tensor, mask: Tensor, seed: int, samples: int) -> list[Tensor]:
        """Return what the noise of each copy adds to A^H y, ``(b, y, x)`` each."""
        slices, coils, rows, columns = (
            maps_bcyx.shape[0],
            maps_bcyx.shape[1],
            maps_bcyx.shape[2],
            maps_bcyx.shape[3],
        )
        drawn_rows = coils * rows if self.noisy_kspace else rows
        unit = smoothing_noise(samples, slices, drawn_rows, columns, seed, self.antithetic)
        unit = self.sigma * unit.to(maps_bcyx.device)
        found: list[Tensor] = []
        for copy in range(unit.shape[0]):
            noise = to_complex(unit[copy])
            if self.noisy_kspace:
                noise = sense_adjoint(noise.view(slices, coils, rows, columns), maps_bcyx, mask)
            found.append(noise)
        return found
