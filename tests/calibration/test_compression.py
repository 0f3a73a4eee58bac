"""Laws of coil compression, and agreement with BART."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bart_program import bart, read_cfl, write_cfl
from known_maps import centre_block, phantom
from torch import Tensor

from smug_recon.calibration import espirit_maps
from smug_recon.calibration.compression import (
    channels_for,
    coil_modes,
    compress,
    compression_matrix,
    energy_kept,
)
from smug_recon.physics import cg_sense, ifft_centred

SHAPE = (60, 56)
METHODS = ("svd", "gcc")


@pytest.fixture(scope="module")
def hybrid_cyx() -> Tensor:
    kspace_cyx, _, _ = phantom(12, SHAPE, noise=1e-3)
    return ifft_centred(kspace_cyx, [2])


def calibration(hybrid_cyx: Tensor) -> Tensor:
    return hybrid_cyx[:, SHAPE[0] // 2 - 12 : SHAPE[0] // 2 + 12]


def matrix(hybrid_cyx: Tensor, method: str, channels: int) -> Tensor:
    return compression_matrix(*coil_modes(calibration(hybrid_cyx), method), channels)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("channels", [1, 5, 12])
def test_rows_are_orthonormal_so_white_noise_stays_white(
    hybrid_cyx: Tensor, method: str, channels: int
) -> None:
    matrix_xvc = matrix(hybrid_cyx, method, channels)
    assert matrix_xvc.shape == (1 if method == "svd" else SHAPE[1], channels, 12)
    gram = matrix_xvc @ matrix_xvc.mH
    torch.testing.assert_close(gram, torch.eye(channels).expand_as(gram).to(gram), atol=2e-5, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_energies_sum_to_that_of_the_data_and_are_what_the_virtual_coils_hold(
    hybrid_cyx: Tensor, method: str
) -> None:
    block = calibration(hybrid_cyx)
    modes_xcc, energy_xc = coil_modes(block, method)
    window = 1 if method == "svd" else 5  # positions that share a covariance
    total = float(block.abs().square().sum())
    assert float(energy_xc.sum()) == pytest.approx(total * window, rel=0.02)  # the window ends at the edges
    assert bool((energy_xc[:, :-1] >= energy_xc[:, 1:]).all())
    for channels in (2, 6, 12):
        virtual = compress(block, compression_matrix(modes_xcc, energy_xc, channels))
        kept = float(virtual.abs().square().sum()) / total
        assert kept == pytest.approx(energy_kept(energy_xc, channels), abs=5e-3 if method == "gcc" else 1e-5)
    assert energy_kept(energy_xc, 12) == pytest.approx(1.0)


@pytest.mark.parametrize("method", METHODS)
def test_as_many_channels_as_the_energy_asks_for_and_no_more(hybrid_cyx: Tensor, method: str) -> None:
    _, energy_xc = coil_modes(calibration(hybrid_cyx), method)
    for share in (0.5, 0.9, 0.99):
        channels = channels_for(energy_xc, share)
        assert energy_kept(energy_xc, channels) >= share - 1e-5
        assert channels == 1 or energy_kept(energy_xc, channels - 1) < share
    assert channels_for(energy_xc, 1.0) == 12
    assert channels_for(torch.zeros(1, 4), 0.9) == 1


@pytest.mark.parametrize("method", METHODS)
def test_with_all_channels_kept_the_image_is_unchanged(hybrid_cyx: Tensor, method: str) -> None:
    """Compressed maps and compressed data give the same SENSE image, undersampled as well."""
    mask_by = torch.zeros(1, SHAPE[0])
    mask_by[:, ::3] = 1
    mask_by[:, SHAPE[0] // 2 - 12 : SHAPE[0] // 2 + 12] = 1
    maps, _ = espirit_maps(centre_block(ifft_like(hybrid_cyx), 24, 24), SHAPE, crop=0.0)
    matrix_xvc = matrix(hybrid_cyx, method, 12)
    before = cg_sense(hybrid_cyx[None], maps[None], mask_by)
    after = cg_sense(compress(hybrid_cyx, matrix_xvc)[None], compress(maps, matrix_xvc)[None], mask_by)
    torch.testing.assert_close(after, before, atol=1e-4 * float(before.abs().max()), rtol=0)


def ifft_like(hybrid_cyx: Tensor) -> Tensor:
    """k-space of hybrid space."""
    from smug_recon.physics import fft_centred

    return fft_centred(hybrid_cyx, [2])


@pytest.mark.parametrize(
    "method, channels, tolerance", [("svd", 8, 2e-3), ("gcc", 8, 4e-3), ("gcc", 5, 2e-2)]
)
def test_maps_of_compressed_coils_are_the_compressed_maps(
    hybrid_cyx: Tensor, method: str, channels: int, tolerance: float
) -> None:
    _, true_cyx, inside = phantom(12, SHAPE, noise=1e-3)
    matrix_xvc = matrix(hybrid_cyx, method, channels)
    virtual = ifft_like(compress(hybrid_cyx, matrix_xvc))
    maps, _ = espirit_maps(centre_block(virtual, 24, 24), SHAPE, crop=0.0)
    expected = compress(true_cyx, matrix_xvc)
    expected = expected / torch.linalg.vector_norm(expected, dim=0)
    misalignment = 1 - (maps.conj() * expected).sum(0).abs()
    assert float(misalignment[inside].mean()) < tolerance


def test_alignment_makes_the_matrices_of_gcc_smooth_along_the_readout(hybrid_cyx: Tensor) -> None:
    modes_xcc, energy_xc = coil_modes(calibration(hybrid_cyx), "gcc")
    aligned = compression_matrix(modes_xcc, energy_xc, 6)

    def roughness(matrix_xvc: Tensor) -> Tensor:
        return torch.linalg.vector_norm(matrix_xvc[1:] - matrix_xvc[:-1], dim=(1, 2))

    inside = slice(14, 42)  # where there is signal
    assert roughness(aligned)[inside].max() < 0.6
    assert roughness(aligned)[inside].mean() < 0.5 * roughness(modes_xcc[:, :6])[inside].mean()


def test_gcc_keeps_more_energy_than_svd(hybrid_cyx: Tensor) -> None:
    kept = [energy_kept(coil_modes(calibration(hybrid_cyx), method)[1], 4) for method in METHODS]
    assert kept[1] > kept[0]


def test_zeros_are_compressed_to_zeros() -> None:
    for method in METHODS:
        modes_xcc, energy_xc = coil_modes(torch.zeros(4, 8, 10, dtype=torch.complex64), method)
        matrix_xvc = compression_matrix(modes_xcc, energy_xc, 2)
        assert bool(torch.isfinite(torch.view_as_real(matrix_xvc)).all())
        assert energy_kept(energy_xc, 2) == 1.0


def test_bart_finds_the_same_virtual_coils(hybrid_cyx: Tensor, tmp_path: Path) -> None:
    """``bart cc -S -p 5``: the energy of its five coils, and the space they span, are ours."""
    kspace_cyx = ifft_like(hybrid_cyx)
    write_cfl(tmp_path / "kspace", kspace_cyx.permute(2, 1, 0)[:, :, None].numpy())
    bart(tmp_path, "cc", "-S", "-A", "-p", "5", "kspace", "virtual")
    theirs = read_cfl(tmp_path / "virtual")[:, :, 0, :, 0]
    theirs_vn = torch.from_numpy(np.ascontiguousarray(theirs.transpose(2, 1, 0))).flatten(1)
    modes_xcc, energy_xc = coil_modes(hybrid_cyx, "svd")
    ours_vn = compress(kspace_cyx, compression_matrix(modes_xcc, energy_xc, 5)).flatten(1)
    assert float(ours_vn.abs().square().sum() / theirs_vn.abs().square().sum()) == pytest.approx(1, abs=1e-4)
    overlap = torch.linalg.svdvals(torch.linalg.qr(ours_vn.mT).Q.mH @ torch.linalg.qr(theirs_vn.mT).Q)
    assert float(overlap.min()) > 0.999
