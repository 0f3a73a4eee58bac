"""Simulated training scans: named by number, consistent with their own physics, normalised as on the scanner."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from smug_recon.errors import ConfigurationError
from smug_recon.network.conditioning import intensity_scale
from smug_recon.physics import sense_adjoint, sense_forward
from smug_recon.training.batches import ScanBatches, collate
from smug_recon.training.config import TrainingConfig, load_config
from smug_recon.training.scans import draw_scan
from smug_recon.training.slices import read_volumes
from smug_recon.training.sources import SimulatedScans


def test_a_scan_is_its_number(config: TrainingConfig) -> None:
    volumes = read_volumes(config.data.slices)
    first, again, other = (draw_scan(volumes, config.data.scans, 3, number, 40) for number in (8, 8, 9))
    assert torch.equal(first.kspace_cyx, again.kspace_cyx)
    assert torch.equal(first.target_yx, again.target_yx)
    assert not torch.equal(first.target_yx, other.target_yx)


@pytest.mark.parametrize("estimated", [0.0, 1.0])
def test_kspace_is_the_target_seen_through_the_operator(config: TrainingConfig, estimated: float) -> None:
    scans = config.data.scans.model_copy(
        update={"noise": (1e-7, 1e-6), "estimated_maps": estimated, "slab_x": 400, "crops": (0.0,)}
    )
    for number in range(4):
        scan = draw_scan(read_volumes(config.data.slices), scans, 0, number, 48)
        predicted = sense_forward(scan.target_yx[None], scan.maps_cyx[None], scan.mask_y[None])[0]
        residual = (predicted - scan.kspace_cyx).abs().square().sum() / scan.kspace_cyx.abs().square().sum()
        # ESPIRiT from 8 lines of a 48-line object is not exact; the exact maps are
        assert float(residual) < (1e-6 if estimated == 0 else 0.05)


def test_the_scale_is_that_of_the_whole_slice(config: TrainingConfig) -> None:
    volumes = read_volumes(config.data.slices)
    whole = config.data.scans.model_copy(update={"slab_x": 400})
    scan = draw_scan(volumes, whole, 0, 1, 40)
    adjoint = sense_adjoint(scan.kspace_cyx[None], scan.maps_cyx[None], scan.mask_y[None])
    assert float(intensity_scale(adjoint)) == pytest.approx(1, rel=0.05)


def test_padding_a_batch_leaves_each_scan_as_it_was(config: TrainingConfig) -> None:
    volumes = read_volumes(config.data.slices)
    scans = [draw_scan(volumes, config.data.scans, 0, number, 40) for number in range(4)]
    batch = collate(scans)
    together = sense_adjoint(batch.kspace_bcyx, batch.maps_bcyx, batch.mask_by)
    for b, scan in enumerate(scans):
        alone = sense_adjoint(scan.kspace_cyx[None], scan.maps_cyx[None], scan.mask_y[None])[0]
        assert torch.allclose(together[b, :, : alone.shape[1]], alone, atol=1e-6)


def test_a_team_shares_each_batch(config: TrainingConfig) -> None:
    volumes = read_volumes(config.data.slices)
    whole = ScanBatches(SimulatedScans(volumes, config.data.scans), 0, 4)[7]
    parts = [ScanBatches(SimulatedScans(volumes, config.data.scans), 0, 4, rank, 2)[7] for rank in (0, 1)]
    assert torch.equal(whole.target_byx[0::2], parts[0].target_byx)
    assert torch.equal(whole.target_byx[1::2], parts[1].target_byx)


def test_splits_are_kept_apart(slices_file: Path) -> None:
    assert {volume.subject for volume in read_volumes(slices_file, "train")} == {"one"}
    assert {volume.subject for volume in read_volumes(slices_file)} == {"one", "two"}
    with pytest.raises(ConfigurationError, match="split"):
        read_volumes(slices_file, "test")


def test_bad_configs_are_refused(tmp_path: Path) -> None:
    for text in ("name: x\nunknown: 1\n", "- 1\n", "a: [\n"):
        (tmp_path / "c.yaml").write_text(text)
        with pytest.raises(ConfigurationError, match="training config"):
            load_config(tmp_path / "c.yaml")


def test_shipped_configs_load() -> None:
    folder = Path(__file__).parents[2] / "training" / "configs"
    assert [load_config(path).name for path in sorted(folder.glob("*.yaml"))] == [
        path.stem for path in sorted(folder.glob("*.yaml"))
    ]
