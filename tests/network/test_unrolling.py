"""The unrolled networks: equal to eager in TorchScript, equal on both paths, scale-equivariant, seeded, differentiable."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

from smug_recon.network import Didn, MoDL, RsE2E, Smoothed, Smug, UNet, Unrolled, WeightedSmug
from smug_recon.network.conditioning import intensity_scale, noise_level
from smug_recon.network.unrolling import to_channels, to_complex
from smug_recon.network.weighting import weighted_regulariser
from smug_recon.physics import fft_centred, sense_adjoint, sense_forward


def scan(slices: int = 1, coils: int = 4, rows: int = 24, columns: int = 21) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    image = torch.randn(slices, rows, columns, generator=generator, dtype=torch.complex64)
    maps = torch.randn(slices, coils, rows, columns, generator=generator, dtype=torch.complex64)
    maps = maps / maps.abs().square().sum(1, keepdim=True).sqrt()
    mask = torch.zeros(slices, rows)
    mask[:, ::3] = 1
    mask[:, rows // 2 - 3 : rows // 2 + 3] = 1
    return sense_forward(image, maps, mask), maps, mask


def trained_like(denoiser: nn.Module) -> nn.Module:
    """Untrained denoisers start as the identity; give the last layer some weight, so that tests can see it work."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in denoiser.parameters():
            value += 0.02 * torch.randn(value.shape, generator=generator)
    return denoiser.eval()


NETWORKS = {
    "modl": lambda: MoDL(trained_like(UNet((8, 8))), steps=2, lam=0.2),
    "smug": lambda: Smug(trained_like(UNet((8, 8))), steps=3, lam=0.2, learned=True),
    "smug-mirror": lambda: Unrolled(Smoothed(trained_like(UNet((8, 8))), mirror=True), steps=2, lam=0.2),
    "smug-didn": lambda: Smug(trained_like(Didn(1, 8)), steps=2, sampling="independent"),
    "smug-shared-noise": lambda: Unrolled(
        Smoothed(trained_like(UNet((8, 8)))), steps=2, lam=0.2, shared_noise=True
    ),
    "rs-e2e": lambda: RsE2E(trained_like(UNet((8, 8))), steps=2, lam=0.2, sampling="independent"),
    "weighted-smug": lambda: WeightedSmug(trained_like(UNet((8, 8))), steps=2, lam=0.2),
    **{
        f"weighted-{kind}": lambda kind=kind: Unrolled(
            weighted_regulariser(kind, trained_like(UNet((8, 8))), 0.01, "independent"), steps=2, lam=0.2
        )
        for kind in ("pixel", "spread")
    },
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Unrolled:
    return NETWORKS[request.param]().eval()


def run(network: nn.Module, *inputs: Tensor, seed: int = 1, samples: int = 4) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        return network(*inputs, seed, samples)  # type: ignore[no-any-return]


def test_torchscript_equals_eager_to_the_bit(network: Unrolled) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(network)
    for eager, compiled in zip(run(network, *scan()), run(scripted, *scan()), strict=True):
        assert torch.equal(eager, compiled)


@torch.no_grad()
def test_both_mask_paths_give_the_same_image(network: Unrolled) -> None:
    kspace, maps, mask = scan()
    full = fft_centred(kspace, [-1]), maps, mask[:, :, None].expand(-1, -1, maps.shape[-1]).contiguous()
    # the noise estimate reads other samples in k-space than in hybrid space: compare the steps at one level
    level = torch.zeros(1)
    hybrid_image, _, _ = network.unroll(sense_adjoint(kspace, maps, mask), maps, mask, level, 0, 2)
    full_image, _, _ = network.unroll(sense_adjoint(full[0], maps, full[2]), maps, full[2], level, 0, 2)
    assert torch.allclose(hybrid_image, full_image, atol=3e-5 * float(hybrid_image.abs().max()))


def test_image_scales_with_the_data(network: Unrolled) -> None:
    kspace, maps, mask = scan()
    image, spread = run(network, kspace, maps, mask)
    for factor in (1e-6, 4096.0):
        scaled, scaled_spread = run(network, factor * kspace, maps, mask)
        assert torch.allclose(scaled / factor, image, rtol=1e-3, atol=1e-4 * float(image.abs().max()))
        assert torch.allclose(scaled_spread / factor, spread, rtol=1e-2, atol=1e-4 * float(image.abs().max()))


def test_the_seed_decides_the_pixels() -> None:
    network, inputs = NETWORKS["smug-didn"]().eval(), scan()
    assert torch.equal(run(network, *inputs, seed=5)[0], run(network, *inputs, seed=5)[0])
    assert not torch.equal(run(network, *inputs, seed=5)[0], run(network, *inputs, seed=6)[0])


def test_a_slice_does_not_depend_on_its_batch(network: Unrolled) -> None:
    kspace, maps, mask = scan(slices=3)
    together, _ = run(network, kspace, maps, mask)
    for b in range(3):
        alone, _ = run(network, kspace[b : b + 1], maps[b : b + 1], mask[b : b + 1])
        assert torch.allclose(together[b : b + 1], alone, atol=1e-4 * float(alone.abs().max()))


def test_empty_slice_gives_zero_without_nan(network: Unrolled) -> None:
    kspace, maps, mask = scan()
    image, spread = run(network, 0 * kspace, maps, mask)
    assert torch.isfinite(image.abs()).all() and torch.isfinite(spread).all()


def test_unused_coils_change_nothing(network: Unrolled) -> None:
    kspace, maps, mask = scan()
    empty = torch.zeros_like(maps[:, :2])
    padded = run(network, torch.cat([kspace, empty], 1), torch.cat([maps, empty], 1), mask)[0]
    assert torch.allclose(padded, run(network, kspace, maps, mask)[0], atol=1e-5 * float(padded.abs().max()))


def test_data_consistency_wins_where_lambda_is_small() -> None:
    kspace, maps, mask = scan()
    network = MoDL(trained_like(UNet((8, 8))), steps=2, lam=1e-6, iterations=200)
    network.tolerance = 1e-7
    image, _ = run(network, kspace, maps, mask)
    assert float((sense_forward(image, maps, mask) - kspace).abs().max()) < 1e-3 * float(kspace.abs().max())


def test_gradient_reaches_the_sampled_kspace() -> None:
    """The attack's gradient: exact through denoiser, solves, A^H y, scale and noise level, against finite differences."""
    kspace, maps, mask = scan(rows=10, columns=8)
    network = NETWORKS["smug"]().eval().double()
    network.tolerance, network.iterations = 1e-10, 60
    maps, mask = maps.to(torch.complex128), mask.double()
    direction = torch.randn(kspace.shape, generator=torch.Generator().manual_seed(1), dtype=torch.complex128)

    def loss(kspace: Tensor) -> Tensor:
        return (
            network.unroll(sense_adjoint(kspace, maps, mask), maps, mask, torch.zeros(1), 3, 2)[0]
            .abs()
            .square()
            .sum()
        )

    start = kspace.to(torch.complex128).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(start), start)
    step = 1e-3
    with torch.no_grad():
        measured = (loss(start + step * direction) - loss(start - step * direction)) / (2 * step)
    assert float(torch.vdot(gradient.flatten(), direction.flatten()).real) == pytest.approx(
        float(measured), rel=2e-2
    )


def test_channel_conversion_round_trip() -> None:
    image = torch.randn(2, 5, 4, dtype=torch.complex64)
    assert torch.equal(to_complex(to_channels(image)), image)


def test_noise_level_finds_the_noise() -> None:
    """Pure noise of known variance in most sampled positions: found within 10 %, for one coil and for many."""
    generator = torch.Generator().manual_seed(0)
    for coils in (1, 4, 16):
        noise = 0.02 * torch.randn(1, coils, 64, 64, generator=generator, dtype=torch.complex64)
        noise[:, :, 24:40] += 3 * torch.randn(1, coils, 16, 64, generator=generator, dtype=torch.complex64)
        maps = torch.ones(1, coils, 64, 64, dtype=torch.complex64) / coils**0.5
        # a tenth of all samples is the quietest seventh of the noise-only three quarters: the estimate is a little low
        assert float(noise_level(noise, maps, torch.ones(1, 64))) == pytest.approx(0.02, rel=0.25)


def test_intensity_scale_is_homogeneous_and_one_for_nothing() -> None:
    image = torch.randn(2, 30, 30, dtype=torch.complex64)
    assert torch.allclose(intensity_scale(7 * image), 7 * intensity_scale(image))
    assert torch.equal(intensity_scale(0 * image), torch.ones(2))
