"""Two sets of maps: a phantom that folds, the real scan that does not, and BART's second set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bart_program import bart, read_cfl, write_cfl
from known_maps import centre_block, phantom
from torch import Tensor

from smug_recon.calibration import espirit_maps
from smug_recon.calibration.espirit import map_space
from smug_recon.calibration.map_sets import espirit_map_sets, folded_share, leading_eigenvalues

SHAPE = (48, 40)


@pytest.fixture(scope="module")
def folded() -> tuple[Tensor, Tensor, Tensor]:
    """Return k-space of half the field of view (every second line), the maps of both parts (s, c, y, x), and
    where each holds the phantom (s, y, x).
    """
    lines = SHAPE[0]
    kspace_cyx, true_cyx, inside = phantom(8, (2 * lines, SHAPE[1]), noise=1e-3)
    rows = torch.arange(lines)
    main, other = rows + lines // 2, (rows + lines // 2 + lines) % (2 * lines)
    maps_scyx = torch.stack([true_cyx[:, main], true_cyx[:, other]])
    return kspace_cyx[:, ::2], maps_scyx, torch.stack([inside[main], inside[other]])


def test_the_two_sets_span_both_maps_where_the_head_folds(folded: tuple[Tensor, Tensor, Tensor]) -> None:
    kspace_cyx, true_scyx, inside_syx = folded
    maps_scyx, eigenvalue_syx = espirit_map_sets(centre_block(kspace_cyx, 24, 24), SHAPE)
    assert maps_scyx.shape == (2, 8, *SHAPE) and eigenvalue_syx.shape == (2, *SHAPE)
    both, one = inside_syx.all(0), inside_syx.sum(0) == 1
    for number in range(2):
        within = (maps_scyx.conj() * true_scyx[number]).sum(1).abs().square().sum(0)
        assert float(within[both].mean()) > 0.995
    assert float((eigenvalue_syx[1] > 0.8)[both].float().mean()) > 0.9
    second_yx = eigenvalue_syx[1]  # it falls off within the width of a kernel
    assert float(second_yx[both].mean()) > 0.95 > 0.8 > float(second_yx[one].mean())
    single, _ = espirit_maps(centre_block(kspace_cyx, 24, 24), SHAPE, crop=0.0)
    outside = (single.conj() * true_scyx[1]).sum(0).abs().square()
    assert float(outside[both].mean()) < 0.9  # one map cannot hold both


def test_sets_are_orthonormal_or_nothing_and_the_first_is_espirit(
    folded: tuple[Tensor, Tensor, Tensor],
) -> None:
    block = centre_block(folded[0], 24, 24)
    maps_scyx, eigenvalue_syx = espirit_map_sets(block, SHAPE, crop=0.8)
    norm_syx = torch.linalg.vector_norm(maps_scyx, dim=1)
    assert torch.equal(norm_syx[1] > 0, eigenvalue_syx[1] > 0.8)
    torch.testing.assert_close(norm_syx[0], torch.ones(SHAPE), rtol=0, atol=1e-4)
    torch.testing.assert_close(norm_syx[1][norm_syx[1] > 0], norm_syx[0][norm_syx[1] > 0], rtol=0, atol=1e-4)
    overlap = (maps_scyx[0].conj() * maps_scyx[1]).sum(0).abs()
    assert float(overlap.max()) < 0.02
    assert bool((eigenvalue_syx[0] >= eigenvalue_syx[1] - 0.02).all())  # degenerate: both near one
    single, eigenvalue_yx = espirit_maps(block, SHAPE, crop=0.0)
    clear = eigenvalue_syx[0] - eigenvalue_syx[1] > 0.1
    aligned = (single.conj() * maps_scyx[0]).sum(0).abs()
    assert float((1 - aligned)[clear].mean()) < 1e-3
    torch.testing.assert_close(eigenvalue_syx[0], eigenvalue_yx, rtol=0, atol=0.02)


def test_small_chunks_give_the_same_maps(
    folded: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    block = centre_block(folded[0], 24, 24)
    whole, _ = espirit_map_sets(block, SHAPE)
    monkeypatch.setattr("smug_recon.calibration.map_sets._CHUNK", 40 * 64 * 5)
    parts, _ = espirit_map_sets(block, SHAPE)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-4)


def test_the_share_that_folds_is_found_and_none_where_nothing_folds(
    folded: tuple[Tensor, Tensor, Tensor],
) -> None:
    kspace_cyx, _, inside_syx = folded
    expected = float(inside_syx.all(0).sum() / inside_syx.any(0).sum())
    assert folded_share(map_space(centre_block(kspace_cyx, 24, 24))) == pytest.approx(expected, rel=0.4)
    for noise in (1e-3, 3e-2, 1e-1, 3e-1):  # of unknown level
        whole, _, _ = phantom(8, SHAPE, noise=noise)
        assert folded_share(map_space(centre_block(whole, 24, 24))) < 0.01
    for coils in (1, 2):
        few, _, _ = phantom(coils, SHAPE)
        assert folded_share(map_space(centre_block(few, 24, 24))) == 0


def test_the_real_scan_does_not_fold(brain_kspace: Tensor) -> None:
    assert folded_share(map_space(centre_block(brain_kspace, 24, 24))) < 0.01


def test_noise_alone_does_not_fold() -> None:
    noise = torch.randn(6, 24, 24, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    for level in (0.0, 1.1):
        assert folded_share(map_space(noise, noise_level=level)) == 0
    assert not leading_eigenvalues(map_space(torch.zeros(4, 24, 24, dtype=torch.complex64))).any()


def test_bart_finds_the_same_space(folded: tuple[Tensor, Tensor, Tensor], tmp_path: Path) -> None:
    """``bart ecalib -m 2``: its two maps lie in the span of ours where both second sets are."""
    kspace_cyx, _, inside_syx = folded
    write_cfl(tmp_path / "kspace", kspace_cyx.permute(1, 2, 0)[:, :, None].numpy())
    bart(tmp_path, "ecalib", "-m", "2", "kspace", "maps")
    theirs = read_cfl(tmp_path / "maps")[:, :, 0]
    theirs_scyx = torch.from_numpy(np.ascontiguousarray(theirs.transpose(3, 2, 0, 1)))
    ours_scyx, _ = espirit_map_sets(centre_block(kspace_cyx, 24, 24), SHAPE)
    common = (theirs_scyx[1].abs().sum(0) > 0) & (ours_scyx[1].abs().sum(0) > 0)
    second = (ours_scyx[1].abs().sum(0) > 0) & inside_syx.any(0)
    assert float(common[second].float().mean()) > 0.85
    for number in range(2):
        unit = theirs_scyx[number] / torch.linalg.vector_norm(theirs_scyx[number], dim=0).clamp_min(1e-9)
        within = (ours_scyx.conj() * unit).sum(1).abs().square().sum(0)
        assert float((1 - within)[common].mean()) < 5e-3
