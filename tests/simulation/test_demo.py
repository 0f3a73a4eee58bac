"""The commands: a small scan goes through the real node and comes close to its truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smug_recon.__main__ import app
from smug_recon.demonstration import demonstrate
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.truth.truth import read_truth


def test_demonstration_reconstructs_and_scores_both_series(tmp_path: Path) -> None:
    settings = ScanSettings(
        matrix_xy=(64, 72), coils=6, slices=2, acs=16, acceleration=2, snr=60.0, spacing_mm=20.0
    )
    found = demonstrate(settings, tmp_path)
    assert set(found.scores) == {"SMUG", "CG-SENSE"}
    assert all(count == 2 for count in found.result.series.values())
    assert found.result.fallbacks == 0
    assert found.scores["CG-SENSE"].psnr_db > 28  # 31.5 dB when this was written
    assert json.loads((tmp_path / "scores.json").read_text())["SMUG"]["psnr_db"] > 20
    for name in ("raw.h5", "truth.h5", "images.h5", "timing.json", "comparison.png"):
        assert (tmp_path / name).stat().st_size > 0
    assert len(list((tmp_path / "dicom").glob("*.dcm"))) == 4


def test_simulate_command_writes_scan_and_truth(tmp_path: Path) -> None:
    options = [
        "--matrix",
        "20",
        "24",
        "--coils",
        "2",
        "--slices",
        "1",
        "--acs",
        "4",
        "--sequential",
        "--no-noise-scan",
    ]
    raw, truth = tmp_path / "raw.h5", tmp_path / "truth.h5"
    result = CliRunner().invoke(app, ["simulate", "-o", str(raw), "--truth", str(truth), *options])
    assert result.exit_code == 0, result.output
    assert "6 readouts, 1 slices, 2 coils" in result.output
    assert raw.stat().st_size and truth.stat().st_size


def test_simulate_command_takes_every_option(tmp_path: Path) -> None:
    words = (
        "--matrix 18 20 4 --coils 3 --acs 4 --acceleration 2 --pattern poisson --calibration separate "
        "--oversampling 1 --asymmetric-echo 0.2 --partial-fourier 0.75 --contrasts 2 --phases 2 --repetitions 2 "
        "--averages 2 --sets 2 --segments 2 --phase-oversampling 0.1 --recon-matrix 20 24 --fov 0.9 --thickness 20 "
        "--sequential --orientation coronal --no-noise-scan --snr 30 --contrast t2w --dead-coil 1 --reversed "
        "--extra-lines navigator --extra-lines dummy --discard 2 1 --seed 5"
    )
    raw, truth = tmp_path / "raw.h5", tmp_path / "truth.h5"
    result = CliRunner().invoke(app, ["simulate", "-o", str(raw), "--truth", str(truth), *words.split()])
    assert result.exit_code == 0, result.output
    assert "4 partitions, 3 coils" in result.output
    found = read_truth(truth)
    assert found.image_syx.shape == (16 * 4, 24, 20)
    assert found.mask_zy.shape == (4, 22) and not found.mask_zy[:, :5].any()
    assert not found.maps_scyx[:, 1].any()


@pytest.mark.parametrize("options", [["--contrast", "dwi"], ["--matrix", "4", "4"], ["16", "--slices", "2"]])
def test_simulate_command_refuses_nonsense(tmp_path: Path, options: list[str]) -> None:
    result = CliRunner().invoke(app, ["simulate", "-o", str(tmp_path / "raw.h5"), *options])
    assert result.exit_code != 0
    assert not (tmp_path / "raw.h5").exists()
