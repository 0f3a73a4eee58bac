"""Unrolled networks as methods: their run-time settings, their denoisers, their steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from smug_recon.network.conditioning import intensity_scale, log_level, noise_level
from smug_recon.network.end_to_end import RsE2E
from smug_recon.network.smoothing import Plain, Smoothed
from smug_recon.network.unrolling import Unrolled
from smug_recon.physics import sense_adjoint
from smug_recon.robustness.methods.method import Method
from smug_recon.robustness.scenes.scene import Scene


@dataclass
class NetworkMethod:
    """An unrolled network with its run-time settings."""

    name: str
    model: str
    network: Unrolled
    samples: int
    stochastic: bool
    linear: bool = False

    def from_kspace(self, kspace_bcyx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Run the network as on the scanner: scale and noise level are derived from the (perturbed) samples.

        The noise level is a quantile: its derivative lies on the one sample at the quantile and holds only until the next sample
        takes its place. Attacks that follow it are weaker, so it is no part of the gradient (the value is exact).
        """
        return self._run(kspace_bcyx, scene, seed, 1.0)

    def from_adjoint(self, adjoint_byx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Run the unrolling steps from A^H y in the scene's scale; the noise level stays the scene's."""
        return self.network.unroll(
            adjoint_byx, scene.maps_bcyx, scene.mask, scene.level_b, seed, self.samples
        )[0]

    def from_start(self, start_byx: Tensor, scene: Scene, seed: int) -> Tensor:
        """Run the steps from another image than A^H y; data consistency keeps A^H y (RS-E2E: with its noise on both)."""
        network, adjoint = self.network, scene.adjoint_byx
        fixed = (scene.maps_bcyx, scene.mask, scene.level_b, seed)
        if not isinstance(network, RsE2E) or self.samples < 1:
            return network.run_steps(start_byx, adjoint, *fixed, self.samples)[0]
        images = [
            network.run_steps(
                start_byx + noise, adjoint + noise if network.noisy_kspace else adjoint, *fixed, 0
            )[0]
            for noise in network.noise(scene.maps_bcyx, scene.mask, seed, self.samples)
        ]
        return torch.stack(images).mean(0)

    def misscaled(self, scene: Scene, factor: float, seed: int) -> Tensor:
        """Reconstruct with the normalisation wrong by ``factor``; the image comes back in the right scale."""
        return self._run(scene.kspace_bcyx, scene, seed, factor)

    def _run(self, kspace_bcyx: Tensor, scene: Scene, seed: int, factor: float) -> Tensor:
        adjoint = sense_adjoint(kspace_bcyx, scene.maps_bcyx, scene.mask)
        scale = intensity_scale(adjoint) / factor
        noise = noise_level(kspace_bcyx.detach(), scene.maps_bcyx, scene.mask)
        level = log_level(noise / scale.detach())
        scale = scale[:, None, None]
        image = self.network.unroll(adjoint / scale, scene.maps_bcyx, scene.mask, level, seed, self.samples)[
            0
        ]
        return image * scale

    def with_steps(self, steps: int) -> NetworkMethod:
        """Return the method with another number of unrolling steps; further ones repeat the last lambda."""
        network = copy.deepcopy(self.network)
        set_steps(network, steps)
        return replace(self, network=network)


def unrolled_parts(network: nn.Module) -> list[Unrolled]:
    """Return every unrolled network in a network: itself, or the one that an end-to-end smoothing holds."""
    return [module for module in network.modules() if isinstance(module, Unrolled)]


def denoisers(method: Method) -> list[nn.Module]:
    """Return the denoiser of every regulariser of a method; none where it is no network."""
    if not isinstance(method, NetworkMethod):
        return []
    return [
        module.denoiser  # type: ignore[misc]
        for module in method.network.modules()
        if isinstance(module, Plain | Smoothed)
    ]


@contextmanager
def overheard(method: Method, heard: Callable[[Tensor, Tensor], None]) -> Iterator[None]:
    """Tell ``heard`` input and output of every call of the denoisers while the context is open."""

    def hook(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        heard(arguments[0], output)

    handles = [denoiser.register_forward_hook(hook) for denoiser in denoisers(method)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def set_steps(network: nn.Module, steps: int) -> None:
    """Set the number of unrolling steps."""
    for part in unrolled_parts(network):
        part.steps = steps
