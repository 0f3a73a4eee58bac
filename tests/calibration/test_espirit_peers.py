"""ESPIRiT against sigpy's and BART's, on the real scan and on a phantom with known maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bart_program import bart, read_cfl, write_cfl
from known_maps import centre_block, phantom
from torch import Tensor

from smug_recon.calibration import espirit_maps
from smug_recon.physics import ifft_centred

TOLERANCE = 1e-3


def sigpy_maps(kspace_cyx: Tensor) -> Tensor:
    """Return the maps of ``sigpy.mri.app.EspiritCalib`` with its defaults."""
    from sigpy.mri.app import EspiritCalib

    return torch.from_numpy(EspiritCalib(kspace_cyx.numpy(), show_pbar=False).run())


def bart_maps(kspace_cyx: Tensor, folder: Path) -> Tensor:
    """Return the maps of ``bart ecalib`` with its defaults (one set)."""
    write_cfl(folder / "kspace", kspace_cyx.permute(1, 2, 0)[:, :, None].numpy())
    bart(folder, "ecalib", "-m", "1", "kspace", "maps")
    maps = read_cfl(folder / "maps")
    return torch.from_numpy(np.ascontiguousarray(maps[:, :, 0, :, 0].transpose(2, 0, 1)))


def peer_maps(peer: str, kspace_cyx: Tensor, folder: Path) -> Tensor:
    return sigpy_maps(kspace_cyx) if peer == "sigpy" else bart_maps(kspace_cyx, folder)


def residual(maps_cyx: Tensor, images_cyx: Tensor) -> float:
    """Return ``|(1 - S S^H) m| / |m|`` of the coil images."""
    left = images_cyx - maps_cyx * (maps_cyx.conj() * images_cyx).sum(0)
    return float(torch.linalg.vector_norm(left) / torch.linalg.vector_norm(images_cyx))


@pytest.mark.parametrize("peer", ["sigpy", "bart"])
def test_real_scan(peer: str, brain_kspace: Tensor, tmp_path: Path) -> None:
    theirs = peer_maps(peer, brain_kspace, tmp_path)
    ours, _ = espirit_maps(centre_block(brain_kspace, 24, 24), (180, 230))
    common = (ours.abs().sum(0) > 0) & (theirs.abs().sum(0) > 0)
    assert common.float().mean() > 0.6
    assert (1 - (ours.conj() * theirs).sum(0).abs())[common].mean() <= TOLERANCE
    images = ifft_centred(brain_kspace, [1, 2])
    assert residual(ours * common, images * common) <= 1.001 * residual(theirs * common, images * common)
    bright = images.abs().square().sum(0).sqrt()
    assert bool((ours.abs().sum(0) > 0)[bright > 0.1 * bright.max()].all())


@pytest.mark.parametrize("peer", ["sigpy", "bart"])
@pytest.mark.parametrize("coils, shape", [(6, (96, 80)), (12, (97, 101))])
def test_phantom(peer: str, coils: int, shape: tuple[int, int], tmp_path: Path) -> None:
    kspace, true, inside = phantom(coils, shape, noise=5e-3)
    theirs = peer_maps(peer, kspace, tmp_path)
    ours, _ = espirit_maps(centre_block(kspace, 24, 24), shape)
    common = inside & (ours.abs().sum(0) > 0) & (theirs.abs().sum(0) > 0)
    assert common.sum() > 0.98 * inside.sum()
    assert (1 - (ours.conj() * theirs).sum(0).abs())[common].mean() <= TOLERANCE
    error_ours = (1 - (ours.conj() * true).sum(0).abs())[common].mean()
    error_theirs = (1 - (theirs.conj() * true).sum(0).abs())[common].mean()
    assert error_ours <= TOLERANCE
    assert error_ours <= 1.1 * error_theirs
    images = ifft_centred(kspace, [1, 2]) * common
    assert residual(ours, images) <= 1.001 * residual(theirs, images)
