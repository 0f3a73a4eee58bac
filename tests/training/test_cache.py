"""The cache of raw files: damaged files are made again, and a disk that refuses ends the training instead of shrinking its data."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from types import SimpleNamespace

import h5py
import pytest
import torch

from smug_recon.errors import ConfigurationError, OutputError
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import write_raw
from smug_recon.simulation.scan import simulate_scan
from smug_recon.training import cache as caching
from smug_recon.training.config import ScanConfig
from smug_recon.training.measured import MeasuredScans, collect


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    scan = simulate_scan(
        ScanSettings(matrix_xy=(32, 40), coils=3, acceleration=1.0, acs=0, slices=1, snr=200.0)
    )
    write_raw(scan, folder / "scan.h5")
    return folder


def hybrid_of(path: Path) -> torch.Tensor:
    with h5py.File(path, "r") as file:
        return torch.from_numpy(file["00000"]["hybrid"][()])


@pytest.mark.parametrize("damage", ["cut", "overwritten", "emptied", "halved"])
def test_a_damaged_file_of_the_cache_is_made_again(damage: str, raw: Path, tmp_path: Path) -> None:
    (made,) = collect(raw, tmp_path / "cache")
    first, size = hybrid_of(made), made.stat().st_size
    if damage == "cut":
        made.write_bytes(made.read_bytes()[: size // 2])
    elif damage == "overwritten":
        made.write_bytes(b"0" * size)
    else:
        with h5py.File(made, "a") as file:
            del file["00000" if damage == "emptied" else "00000/maps"]
    assert not caching.is_intact(made)
    assert collect(raw, tmp_path / "cache") == [made]
    assert torch.equal(hybrid_of(made), first)
    assert len(MeasuredScans([made], ScanConfig()).shapes_cyx) == 1


def test_a_full_disk_ends_it_and_leaves_nothing_half_written(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(OutputError, match=r"cache.*No space left.*data\.cache"):
        collect(raw, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_cache_that_cannot_be_a_folder_is_said(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OutputError, match=r"cache.*data\.cache"):
        collect(raw, tmp_path / "cache")


def test_no_folder_no_cache(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="neither folder nor file"):
        collect(tmp_path / "nowhere", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_the_log_counts_what_is_used(raw: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (raw / "text.h5").write_text("no raw file")
    with caplog.at_level(logging.WARNING):
        assert len(collect(raw, tmp_path / "cache")) == 1
    assert "1 of 2 raw files are used" in caplog.text
