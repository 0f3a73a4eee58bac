"""Training on measured scans: raw files go through the chain once, and what is drawn from them is the scan itself."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from smug_recon.errors import ConfigurationError
from smug_recon.physics import sense_forward
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import write_raw
from smug_recon.simulation.scan import simulate_scan
from smug_recon.training.config import DataConfig, ScanConfig, TrainingConfig
from smug_recon.training.convert import convert
from smug_recon.training.loop import train
from smug_recon.training.measured import MeasuredScans, collect
from smug_recon.training.sources import open_source

SCANS = ScanConfig(
    slab_x=24, calibration=(12, 12), acceleration=(2.0, 2.0), estimated_maps=0.0, random_fraction=1.0
)


@pytest.fixture(scope="module")
def raw_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    for seed in (1, 2):
        scan = simulate_scan(
            ScanSettings(matrix_xy=(40, 48), coils=4, acceleration=1.0, acs=0, slices=2, seed=seed, snr=200.0)
        )
        write_raw(scan, folder / f"scan{seed}.h5")
    return folder


def test_the_target_is_the_fully_sampled_scan(raw_folder: Path) -> None:
    source = open_source(DataConfig(raw=raw_folder, scans=SCANS))
    assert source.lines_y == (48,) * 4
    for index in range(4):
        scan = source.draw(0, index, 48, whole=True)
        assert scan.kspace_cyx.shape == (4, 48, 40)
        sampled = sense_forward(scan.target_yx[None], scan.maps_cyx[None], scan.mask_y[None])[0]
        error = (sampled - scan.kspace_cyx).abs().square().sum().sqrt()
        # what one image with these maps cannot explain: noise of four coils, and the maps of a 48 x 40 matrix
        assert float(error / scan.kspace_cyx.abs().square().sum().sqrt()) < 0.1
        assert int(scan.mask_y.sum()) == 24 and float(scan.kspace_cyx[:, scan.mask_y == 0].abs().max()) == 0


def test_scans_are_drawn_by_number(raw_folder: Path) -> None:
    source = open_source(DataConfig(raw=raw_folder, scans=SCANS))
    first, again, other = (source.draw(3, number, 48) for number in (5, 5, 6))
    assert torch.equal(first.kspace_cyx, again.kspace_cyx) and torch.equal(first.target_yx, again.target_yx)
    assert not torch.equal(first.kspace_cyx, other.kspace_cyx)
    assert first.kspace_cyx.shape[-1] == 24


def test_a_raw_file_is_read_once_and_again_when_it_changes(raw_folder: Path, tmp_path: Path) -> None:
    raw = tmp_path / "scan.h5"
    raw.write_bytes((raw_folder / "scan1.h5").read_bytes())
    (first,) = collect(raw, tmp_path / "cache")
    written = first.stat().st_mtime_ns
    assert collect(raw, tmp_path / "cache") == [first] and first.stat().st_mtime_ns == written
    raw.write_bytes((raw_folder / "scan2.h5").read_bytes())
    (second,) = collect(raw, tmp_path / "cache")
    assert second != first
    assert collect(tmp_path, tmp_path / ".smug-recon")[0].name == second.name
    assert len(collect(tmp_path, tmp_path / "cache")) == 1  # the other cache holds no raw files
    assert not list((tmp_path / "cache").glob("*.incomplete"))


def test_scans_that_are_not_fully_sampled_are_left_out(
    raw_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scan = simulate_scan(ScanSettings(matrix_xy=(40, 48), coils=4, acceleration=2.0, acs=12, slices=1))
    write_raw(scan, tmp_path / "under.h5")
    (tmp_path / "text.h5").write_text("no raw file")
    with caplog.at_level(logging.WARNING), pytest.raises(ConfigurationError, match="2 looked at"):
        collect(tmp_path, tmp_path / "cache")
    assert "lines missing" in caplog.text and "text.h5 is left out" in caplog.text


def write_fastmri(path: Path, zeros_y: tuple[int, int], seed: int = 4) -> None:
    """A file as fastMRI distributes it, with so many columns of zeros at the ends of its k-space."""
    settings = ScanSettings(
        matrix_xy=(40, 48), coils=4, acceleration=1.0, acs=0, slices=2, seed=seed, snr=200.0
    )
    scan = simulate_scan(replace(settings, noise_scan=False))
    kspace_scxy = np.zeros((2, 4, 80, 48), np.complex64)
    for head, samples_cx in zip(scan.heads, scan.samples, strict=True):
        kspace_scxy[head["idx"]["slice"], :, :, head["idx"]["kspace_encode_step_1"]] = samples_cx
    kspace_scxy[..., : zeros_y[0]] = kspace_scxy[..., 48 - zeros_y[1] :] = 0
    with h5py.File(path, "w") as file:
        file["kspace"], file["ismrmrd_header"] = kspace_scxy, scan.xml


def test_a_matrix_filled_up_with_zeros_is_fully_sampled(tmp_path: Path) -> None:
    """Many fastMRI files are: what was not acquired is not drawn, and the target is what was acquired."""
    write_fastmri(tmp_path / "file1.h5", (5, 4))
    source = open_source(DataConfig(raw=tmp_path, cache=tmp_path / "cache", scans=SCANS))
    assert source.lines_y == (48, 48)
    for index in range(4):
        scan = source.draw(0, index, 48, whole=True)
        assert not scan.mask_y[:5].any() and not scan.mask_y[44:].any()
        assert scan.mask_y[18:30].all() and 12 < int(scan.mask_y.sum()) <= 24
        assert float(scan.kspace_cyx[:, scan.mask_y == 1].abs().amin((0, 2)).min()) > 0


def test_partial_fourier_is_not_fully_sampled(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_fastmri(tmp_path / "file1.h5", (14, 0))
    with caplog.at_level(logging.WARNING), pytest.raises(ConfigurationError, match="1 looked at"):
        collect(tmp_path, tmp_path / "cache")
    assert "14 of 48 lines missing" in caplog.text


def test_from_raw_files_to_a_card(config: TrainingConfig, raw_folder: Path, tmp_path: Path) -> None:
    data = DataConfig(raw=raw_folder, anatomy="phantom", licence="MIT", attribution="nobody", scans=SCANS)
    train(config.model_copy(update={"data": data}), tmp_path / "run")
    card = convert(
        tmp_path / "run" / "checkpoint.pt", tmp_path / "m.pt", None, raw_folder, ["val", "test"], 2
    )
    assert card["trained_range"]["anatomy"] == "phantom"
    assert card["trained_range"]["matrix_yx"] == [[48, 48], [40, 40]]
    assert card["trained_range"]["coils"] == [4, 4]
    assert card["training_data"] == [
        {"name": "2 fully sampled raw files", "licence": "MIT", "attribution": "nobody"}
    ]
    assert set(card["metrics"]) == {"held-out"}  # raw files have no splits
    assert card["metrics"]["held-out"]["scans"] == 2 and "scan1" not in str(card)
    low, high = card["trained_range"]["noise_level"]
    assert (
        0 < low <= high < SCANS.noise[1]
    )  # of the scans, not of the config, which says how simulated ones are drawn
    assert [low, high] != list(SCANS.noise)


def test_data_is_either_slices_or_raw(raw_folder: Path) -> None:
    for given in ({}, {"slices": Path("a.h5"), "raw": raw_folder}):
        with pytest.raises(ValueError, match="either slices"):
            DataConfig(**given)  # type: ignore[arg-type]
    assert isinstance(open_source(DataConfig(raw=raw_folder)), MeasuredScans)
