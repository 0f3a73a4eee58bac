"""Scenes are named by their slice alone, consistent with their own physics, and change only in what a shift names."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from tiny_networks import SCAN

from smug_recon.errors import ConfigurationError
from smug_recon.network.conditioning import intensity_scale
from smug_recon.physics import sense_forward
from smug_recon.robustness.measures.norms import l2_norm
from smug_recon.robustness.methods.classical import CgSense
from smug_recon.robustness.scenes.measured import MeasuredSlice
from smug_recon.robustness.scenes.patterns import calibration_lines, draw_mask, stratified_mask
from smug_recon.robustness.scenes.scene import Scene, draw_scene, held_out
from smug_recon.robustness.settings.data import DataSettings
from smug_recon.robustness.settings.scan import ScanSettings
from smug_recon.simulation.protocol.settings import ScanSettings as SimulationSettings
from smug_recon.simulation.raw.file import write_raw
from smug_recon.simulation.scan import simulate_scan
from smug_recon.training.psnr import psnr_db


def test_every_subject_is_represented_and_none_of_another_split(data: DataSettings) -> None:
    names = [slice_.name for slice_ in held_out(data, SCAN)]
    assert len(names) == len(set(names)) == 4
    assert [name.partition("/")[0] for name in names] == ["one", "two", "one", "two"]
    assert held_out(data.model_copy(update={"limit": 2}), SCAN)[1].volume.subject == "two"
    assert {slice_.volume.subject for slice_ in held_out(data, SCAN, "val")} == {"three"}
    assert len(held_out(data.model_copy(update={"split": "nobody's"}), SCAN)) == 6  # somebody's own file
    only = held_out(data, SCAN.model_copy(update={"contrast": "T2w"}))
    assert {slice_.volume.subject for slice_ in only} == {"two"}
    with pytest.raises(ConfigurationError, match="FLAIR"):
        held_out(data, SCAN.model_copy(update={"contrast": "FLAIR"}))


def test_a_scene_does_not_depend_on_the_others(data: DataSettings, scene: Scene) -> None:
    more = held_out(data.model_copy(update={"per_subject": 4}), SCAN)
    (same,) = [slice_ for slice_ in more if slice_.name == scene.name]
    again = draw_scene(same, SCAN, 0)
    assert torch.equal(again.kspace_bcyx, scene.kspace_bcyx)
    assert not torch.equal(draw_scene(same, SCAN, 1).kspace_bcyx, scene.kspace_bcyx)


def test_scenes_are_normalised_and_obey_their_physics(data: DataSettings) -> None:
    clean = SCAN.model_copy(update={"noise": 1e-6, "exact_maps": True})
    for slice_ in held_out(data, clean)[:2]:
        scene = draw_scene(slice_, clean, 0)
        assert float(intensity_scale(scene.adjoint_byx)) == pytest.approx(1, rel=1e-4)
        predicted = sense_forward(scene.target_byx, scene.maps_bcyx, scene.mask)
        assert l2_norm(predicted - scene.kspace_bcyx) < 1e-3 * l2_norm(scene.kspace_bcyx)


def test_shifts_of_the_sampling_leave_object_and_maps_alone(data: DataSettings, scene: Scene) -> None:
    slice_ = held_out(data, SCAN)[0]
    for update in ({"acceleration": 2.0}, {"pattern": "regular"}, {"pattern": "poisson"}, {"calibration": 4}):
        other = draw_scene(slice_, SCAN.model_copy(update=update), 0)
        assert not torch.equal(other.mask, scene.mask)
        assert torch.equal(other.maps_bcyx, scene.maps_bcyx)
        ratio = other.target_byx / scene.target_byx
        assert torch.allclose(ratio, ratio.flatten()[0].expand_as(ratio), rtol=1e-3)


@pytest.mark.parametrize("pattern", ["random", "poisson"])
def test_masks_have_the_lines_that_were_asked_for(pattern: str) -> None:
    for acceleration in (2, 4, 8):
        settings = ScanSettings(acceleration=acceleration, pattern=pattern)  # type: ignore[arg-type]
        mask = draw_mask(settings, np.random.default_rng(0))
        centre = calibration_lines(settings)
        assert mask.sum() == round(192 / acceleration)
        assert mask[96 - centre // 2 : 96 - centre // 2 + centre].all()
    assert calibration_lines(ScanSettings()) == round(0.08 * 192)


def test_stratified_lines_keep_apart() -> None:
    gaps = {}
    for pattern in ("random", "poisson"):
        worst = []
        for seed in range(20):
            settings = ScanSettings(pattern=pattern, calibration=16)  # type: ignore[arg-type]
            lines = np.flatnonzero(draw_mask(settings, np.random.default_rng(seed)))
            worst.append(np.diff(lines).max())
        gaps[pattern] = np.mean(worst)
    assert gaps["poisson"] < gaps["random"]
    assert stratified_mask(32, 1.0, 8, np.random.default_rng(0)).all()


def test_a_measured_scan_is_a_scene_as_well(shared_data: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "Doe_Jane.h5").symlink_to(shared_data / "brain8ch.h5")
    data = DataSettings(raw=raw, cache=tmp_path / "cache")
    (slice_,) = held_out(data, ScanSettings())
    scene = draw_scene(slice_, ScanSettings(), 0)
    assert "Doe" not in slice_.fingerprint
    rows = scene.mask.shape[1]
    assert int(scene.mask.sum()) == round(rows / 4)
    assert scene.kspace_bcyx.shape[1] == 8
    assert float(intensity_scale(scene.adjoint_byx)) == pytest.approx(1, rel=1e-4)
    image = CgSense(0.01).from_kspace(scene.kspace_bcyx, scene, 0)
    assert float(psnr_db(image, scene.target_byx)) > 26
    assert float(psnr_db(image, scene.target_byx)) > float(psnr_db(scene.adjoint_byx, scene.target_byx)) + 2
    with pytest.raises(ConfigurationError, match="coils"):
        held_out(data, ScanSettings(coils=4))


def test_a_raw_file_gives_the_same_scene_wherever_it_lies(tmp_path: Path) -> None:
    tiny = SimulationSettings(matrix_xy=(40, 48), coils=4, acceleration=1.0, acs=0, slices=1, snr=200.0)
    sampling = ScanSettings(calibration=8)
    scenes = []
    for place, seed in (("here", 1), ("there", 1), ("other", 2)):
        raw = tmp_path / place
        raw.mkdir()
        write_raw(simulate_scan(replace(tiny, seed=seed)), raw / f"{place}.h5")
        os.utime(raw / f"{place}.h5", (seed, len(place)))
        (slice_,) = held_out(DataSettings(raw=raw, cache=tmp_path / f"cache-{place}"), sampling)
        scenes.append(draw_scene(slice_, sampling, 0))
    here, there, other = scenes
    assert here.name == there.name != other.name and "other" not in other.name
    assert torch.equal(here.mask, there.mask) and torch.equal(here.kspace_bcyx, there.kspace_bcyx)


def test_one_source_of_scans() -> None:
    for wrong in ({}, {"slices": "a.h5", "raw": "b"}):
        with pytest.raises(ValueError, match="either slices or raw"):
            DataSettings.model_validate(wrong)


def test_lines_that_fill_up_a_measured_matrix_are_not_sampled(tmp_path: Path) -> None:
    kspace_cyx = torch.randn(4, 48, 40, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    kspace_cyx[:, :5] = kspace_cyx[:, 44:] = 0
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("00000")
        group["hybrid"], group["maps"] = kspace_cyx.numpy(), np.full((4, 48, 40), 0.5, np.complex64)
    full = ScanSettings(acceleration=1.0, calibration=48)
    mask_y = draw_scene(MeasuredSlice(tmp_path / "a.h5", "00000"), full, 0).mask[0]
    assert mask_y[5:44].all() and not mask_y[:5].any() and not mask_y[44:].any()
