"""RS-E2E: the mean of whole reconstructions, in both readings of where the noise enters."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from smug_recon.network import MoDL, RsE2E, UNet, smoothing_noise
from smug_recon.network.end_to_end import READINGS
from smug_recon.network.unrolling import to_complex
from smug_recon.physics import sense_adjoint, sense_forward


def scan() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    image = torch.randn(2, 24, 21, generator=generator, dtype=torch.complex64)
    maps = torch.randn(2, 4, 24, 21, generator=generator, dtype=torch.complex64)
    maps = maps / maps.abs().square().sum(1, keepdim=True).sqrt()
    mask = torch.zeros(2, 24)
    mask[:, ::2] = 1
    return sense_forward(image, maps, mask), maps, mask


def nonlinear_denoiser() -> nn.Module:
    generator = torch.Generator().manual_seed(5)
    torch.manual_seed(5)
    denoiser = UNet((8, 8))
    with torch.no_grad():
        for value in denoiser.parameters():
            value += 0.05 * torch.randn(value.shape, generator=generator)
    return denoiser.eval()


def pair(**settings: object) -> tuple[RsE2E, MoDL]:
    denoiser = nonlinear_denoiser()
    return RsE2E(denoiser, steps=2, lam=0.5, **settings), MoDL(denoiser, steps=2, lam=0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("reading", READINGS)
@torch.no_grad()
def test_no_noise_or_no_copies_is_modl(reading: str) -> None:
    inputs = scan()
    smooth, plain = pair(sigma=0.0, reading=reading)
    wanted = plain(*inputs, 1, 0)[0]
    assert torch.equal(smooth(*inputs, 1, 0)[0], wanted)
    assert torch.allclose(smooth(*inputs, 1, 3)[0], wanted, atol=1e-6 * float(wanted.abs().max()))


@torch.no_grad()
def test_the_image_reading_is_the_mean_of_modl_from_noisy_starts() -> None:
    kspace, maps, mask = scan()
    smooth, plain = pair(sigma=0.1, sampling="independent")
    adjoint, level = sense_adjoint(kspace, maps, mask), torch.zeros(2)
    noise = 0.1 * smoothing_noise(3, 2, 24, 21, 7, antithetic=False)
    wanted = torch.stack(
        [plain.run_steps(adjoint + to_complex(n), adjoint, maps, mask, level, 0, 0)[0] for n in noise]
    ).mean(0)
    found, copies, weights = smooth.unroll(adjoint, maps, mask, level, 7, 3)
    assert torch.allclose(found, wanted, atol=1e-6)
    assert copies[0].shape == (3, 2, 2, 24, 21) and weights[0].shape == (3, 2)


@torch.no_grad()
def test_the_kspace_reading_adds_noise_of_sigma_to_the_samples() -> None:
    """A^H of white noise has the covariance sigma^2 A^H A: for unit-norm maps and full sampling white again."""
    _, maps, mask = scan()
    smooth, _ = pair(sigma=0.1, sampling="independent", reading="kspace")
    drawn = torch.stack(smooth.noise(maps, torch.ones_like(mask), 3, 200))
    assert float(drawn.real.std()) == pytest.approx(0.1, rel=0.02)
    assert float(drawn.imag.std()) == pytest.approx(0.1, rel=0.02)
    half = torch.stack(smooth.noise(maps, mask, 3, 200))  # every second line: half of the energy
    assert float(half.abs().square().mean()) == pytest.approx(0.01, rel=0.04)


@torch.no_grad()
def test_both_readings_differ_and_repeat() -> None:
    inputs = scan()
    images = [
        pair(sigma=0.1, reading=reading, sampling="independent")[0](*inputs, 5, 4)[0] for reading in READINGS
    ]
    assert not torch.allclose(images[0], images[1], atol=1e-4)
    for image, reading in zip(images, READINGS, strict=True):
        again = pair(sigma=0.1, reading=reading, sampling="independent")[0]
        assert torch.equal(again(*inputs, 5, 4)[0], image)
