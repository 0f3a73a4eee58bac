"""Laws of the ESPIRiT maps."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known_maps import centre_block, phantom
from torch import Tensor

from smug_recon.calibration import espirit_maps
from smug_recon.errors import DataError
from smug_recon.physics import fft_centred


def misalignment(a_cyx: Tensor, b_cyx: Tensor) -> Tensor:
    """Return ``1 - |<a, b>|`` where both maps have unit norm."""
    both = (a_cyx.abs().sum(0) > 0) & (b_cyx.abs().sum(0) > 0)
    return (1 - (a_cyx.conj() * b_cyx).sum(0).abs())[both]


@given(
    coils=st.integers(1, 10),
    rows=st.integers(12, 26),
    columns=st.integers(12, 26),
    height=st.integers(40, 90),
    width=st.integers(40, 90),
    seed=st.integers(0, 100),
)
@settings(max_examples=15, deadline=None)
def test_maps_have_unit_norm_or_none_and_eigenvalues_lie_in_0_to_1(
    coils: int, rows: int, columns: int, height: int, width: int, seed: int
) -> None:
    kspace, _, _ = phantom(coils, (height, width), seed=seed)
    maps, eigenvalue = espirit_maps(centre_block(kspace, rows, columns), (height, width))
    assert maps.shape == (coils, height, width) and maps.dtype == torch.complex64
    assert eigenvalue.shape == (height, width) and eigenvalue.dtype == torch.float32
    norm = torch.linalg.vector_norm(maps, dim=0)
    assert (norm[norm > 0] - 1).abs().max() < 1e-5
    assert torch.equal(norm > 0, eigenvalue > 0.95)
    assert float(eigenvalue.min()) >= 0 and float(eigenvalue.max()) <= 1


@pytest.mark.parametrize("shape", [(96, 80), (97, 81), (96, 81), (51, 52)])
@pytest.mark.parametrize("block", [(24, 24), (23, 25), (16, 31)])
def test_known_maps_are_found_for_odd_and_even_sizes(shape: tuple[int, int], block: tuple[int, int]) -> None:
    kspace, true, inside = phantom(8, shape, noise=3e-3)
    maps, eigenvalue = espirit_maps(centre_block(kspace, *block), shape)
    assert misalignment(maps * inside, true).mean() < 2e-4
    assert (eigenvalue[inside] > 0.95).float().mean() > 0.99


@pytest.mark.parametrize("shape", [(32, 33), (33, 32), (64, 65), (90, 101)])
def test_the_centre_of_the_maps_is_the_centre_of_the_image(shape: tuple[int, int]) -> None:
    """Coils that differ by linear phases: a displacement of half a voxel is a phase of 2 pi / shape."""
    y = ((torch.arange(shape[0]) - shape[0] // 2) / shape[0])[:, None]
    x = (torch.arange(shape[1]) - shape[1] // 2) / shape[1]
    generator = torch.Generator().manual_seed(0)
    image = (1 + torch.rand(shape, generator=generator)) * (y.abs() < 0.3) * (x.abs() < 0.3)
    wave_y = torch.exp(4j * math.pi * y).expand(shape)
    wave_x = torch.exp(4j * math.pi * x).expand(shape)
    kspace = fft_centred(torch.stack([image + 0j, image * wave_y, image * wave_x]), [1, 2])
    maps, _ = espirit_maps(centre_block(kspace, 20, 20), shape)
    for coil, wave in ((1, wave_y), (2, wave_x)):
        error = (maps[coil] * maps[0].conj() * wave.conj()).angle()[image > 0]
        assert error.abs().max() < 0.04
        assert error.mean().abs() < 0.002


def test_the_small_grid_loses_nothing() -> None:
    kspace, _, inside = phantom(8, (150, 130), noise=1e-2)
    block = centre_block(kspace, 24, 24)
    maps, eigenvalue = espirit_maps(block, (150, 130))
    exact, exact_eigenvalue = espirit_maps(block, (150, 130), grid=1000, iterations=800)
    assert misalignment(maps * inside, exact).max() < 1e-4
    assert (eigenvalue - exact_eigenvalue)[inside].abs().max() < 1e-3
    assert torch.dist(maps * inside, exact * inside) < 0.01 * torch.linalg.vector_norm(exact * inside)


@pytest.fixture(scope="module")
def scan() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return a calibration block, its maps and eigenvalues, and the support of the object."""
    kspace, _, inside = phantom(6, (60, 70), noise=1e-2)
    block = centre_block(kspace, 20, 24)
    return block, *espirit_maps(block, (60, 70)), inside


@given(st.floats(-18, 18), st.floats(0, 2 * math.pi))
@settings(max_examples=15, deadline=None)
def test_scale_and_phase_of_the_data_change_nothing(
    scan: tuple[Tensor, Tensor, Tensor, Tensor], exponent: float, angle: float
) -> None:
    block, maps, eigenvalue, inside = scan
    factor = 10**exponent * complex(math.cos(angle), math.sin(angle))
    scaled_maps, scaled_eigenvalue = espirit_maps(
        (block.to(torch.complex128) * factor).to(torch.complex64), (60, 70)
    )
    torch.testing.assert_close(scaled_eigenvalue, eigenvalue, rtol=0, atol=1e-4)
    torch.testing.assert_close(scaled_maps * inside, maps * inside, rtol=0, atol=2e-3)


@given(st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_maps_turn_with_a_unitary_mixing_of_the_coils(
    scan: tuple[Tensor, Tensor, Tensor, Tensor], seed: int
) -> None:
    block, maps, eigenvalue, inside = scan
    generator = torch.Generator().manual_seed(seed)
    mixing, _ = torch.linalg.qr(torch.randn(6, 6, dtype=torch.complex64, generator=generator))
    mixed_maps, mixed_eigenvalue = espirit_maps(torch.einsum("dc,cyx->dyx", mixing, block), (60, 70))
    torch.testing.assert_close(mixed_eigenvalue, eigenvalue, rtol=0, atol=1e-4)
    expected = torch.einsum("dc,cyx->dyx", mixing, maps)
    assert misalignment(mixed_maps * inside, expected).max() < 1e-4


def test_only_the_differences_of_positions_count(scan: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    """A block whose centre lies one line off gives the same maps where there is signal."""
    kspace, _, inside = phantom(6, (60, 70), noise=1e-3)
    maps, _ = espirit_maps(kspace[:, 20:41, 23:47], (60, 70))
    moved, _ = espirit_maps(kspace[:, 19:40, 24:48], (60, 70))
    assert misalignment(maps * inside, moved).mean() < 1e-4


def test_the_phase_is_defined_and_smooth_inside_the_object() -> None:
    """Neighbouring voxels differ little: no jump, no vortex, although coil 0 vanishes in half the image."""
    kspace, true, inside = phantom(8, (96, 96), noise=1e-3)
    x = torch.arange(96)
    kspace[0] = fft_centred((true[0] * inside * torch.sigmoid((x - 60) / 4))[None], [1, 2])[0]
    maps, _ = espirit_maps(centre_block(kspace, 24, 24), (96, 96), crop=0.8)
    core = inside[:, 1:] & inside[:, :-1]
    step = torch.linalg.vector_norm(maps[..., 1:] - maps[..., :-1], dim=0)
    assert bool(torch.isfinite(torch.view_as_real(maps)).all())
    assert step[core].max() < 0.3


def test_a_known_noise_level_keeps_noise_out_of_the_maps() -> None:
    """At an SNR of about 3 the threshold alone takes noise for signal; the known noise level cuts it off."""
    level = 0.3
    kspace, true, inside = phantom(8, (96, 96), noise=level)
    clean, _, _ = phantom(8, (96, 96), noise=0)
    sigma = float((kspace - clean).abs().square().mean().sqrt())
    block = centre_block(kspace, 24, 24)
    plain, _ = espirit_maps(block, (96, 96))
    informed, _ = espirit_maps(block, (96, 96), noise_level=sigma)
    assert misalignment(informed * inside, true).mean() < 0.5 * misalignment(plain * inside, true).mean()
    assert misalignment(informed * inside, true).mean() < 0.02
    assert (plain.abs().sum(0) > 0)[~inside].float().mean() > 0.5
    assert (informed.abs().sum(0) > 0)[~inside].float().mean() < 0.2


def test_noise_alone_has_no_maps() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(8, 24, 24, dtype=torch.complex64, generator=generator)
    maps, eigenvalue = espirit_maps(1e-6 * noise, (64, 64), noise_level=1.1e-6)
    assert not maps.any()
    assert eigenvalue.max() < 0.95


def test_a_single_coil_has_the_map_one() -> None:
    kspace, _, inside = phantom(1, (48, 50))
    maps, _ = espirit_maps(centre_block(kspace, 20, 20), (48, 50))
    torch.testing.assert_close(maps[0][inside], torch.ones_like(maps[0][inside]), rtol=0, atol=1e-5)


def test_a_dead_coil_has_the_map_zero_and_does_not_disturb_the_others() -> None:
    kspace, true, inside = phantom(5, (48, 50))
    kspace[2] = 0
    maps, _ = espirit_maps(centre_block(kspace, 20, 20), (48, 50))
    true[2] = 0
    true = true / torch.linalg.vector_norm(true, dim=0)
    assert maps[2].abs().max() < 1e-5
    assert misalignment(maps * inside, true).mean() < 1e-3


@pytest.mark.parametrize("block", [(24, 24), (6, 6), (24, 200)])
def test_no_signal_gives_no_maps(block: tuple[int, int]) -> None:
    maps, eigenvalue = espirit_maps(torch.zeros(4, *block, dtype=torch.complex64), (40, 41))
    assert torch.equal(maps, torch.zeros(4, 40, 41, dtype=torch.complex64))
    assert torch.equal(eigenvalue, torch.zeros(40, 41))


def test_long_and_short_blocks_take_different_routes_to_the_same_maps() -> None:
    """The signal space comes from M M^H for many blocks, from M^H M for few; both are the same space."""
    from smug_recon.calibration import kernels

    block = centre_block(phantom(4, (64, 64))[0], 18, 20)
    gram = kernels.calibration_gram(block, (6, 6))
    matrix = kernels.calibration_matrix(block, (6, 6))
    torch.testing.assert_close(gram, matrix @ matrix.mH, rtol=1e-4, atol=1e-4 * float(gram.abs().max()))
    projector = kernels.signal_projector(block, (6, 6), 0.02)
    left, values, _ = torch.linalg.svd(matrix, full_matrices=False)
    left = left[:, values > 0.02 * values[0]]
    assert torch.dist(projector, left @ left.mH) < 0.02


def test_blocks_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(DataError, match=r"found a calibration block of shape \(4, 5, 24\)"):
        espirit_maps(torch.ones(4, 5, 24, dtype=torch.complex64), (64, 64))
    broken = torch.ones(4, 24, 24, dtype=torch.complex64)
    broken[1, 2, 3] = math.inf
    with pytest.raises(DataError, match="infinite or undefined"):
        espirit_maps(broken, (64, 64))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cpu_and_gpu_agree(scan: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    block, maps, _, inside = scan
    gpu_maps, gpu_eigenvalue = espirit_maps(block.cuda(), (60, 70))
    assert gpu_maps.is_cuda and gpu_eigenvalue.is_cuda
    torch.testing.assert_close(gpu_maps.cpu() * inside, maps * inside, rtol=0, atol=2e-3)
