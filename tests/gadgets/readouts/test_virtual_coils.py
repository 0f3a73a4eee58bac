"""Receive channels, 1 to 64 of them: silent ones are left out, the others compressed on request; the image stays."""

from __future__ import annotations

from typing import Any

import ismrmrd
import numpy as np
import pytest
import torch
from simulated import NOISE, header_of, readouts_of, reconstructed, scan

from smug_recon.errors import ConfigurationError
from smug_recon.gadgets.flow.items import Slice, SliceKey, Volume
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.readouts.virtual_coils import distance_of_rows, leave_out_silent
from smug_recon.pipeline import load_pipeline


def noisy(readouts: list[Any], channel: int, level: float, zeros: bool = False) -> list[Any]:
    """Make one channel deaf: what it records is noise of ``level`` times its own, or nothing."""
    rng = np.random.default_rng(3)
    quiet = np.concatenate([r.data[channel] for r in readouts if r.flags & NOISE] or [np.ones(1)])
    sigma = level * float(np.sqrt(np.mean(np.abs(quiet) ** 2)))
    for readout in readouts:
        count = readout.data.shape[1]
        white = rng.standard_normal((2, count)) @ np.eye(count) * np.sqrt(0.5) * sigma
        readout.data[channel] = 0 if zeros else white[0] + 1j * white[1]
    return readouts


@pytest.mark.parametrize("coils, acceleration", [(1, 1.0), (2, 1.0), (64, 2.0)])
def test_one_to_sixty_four_channels(conventional_model: Any, coils: int, acceleration: float) -> None:
    raw = scan(coils=coils, acceleration=acceleration)
    result = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
    assert result.nrmse(raw.truth.whitened_syx) < 0.12
    assert result.images[0].meta["SmugCoils"] == str(coils)
    assert not result.report.fallbacks


def error(raw: Any, readouts: list[Any], model: Any, **overrides: Any) -> tuple[float, Any]:
    result = reconstructed(readouts, header_of(raw), model, **overrides)
    return result.nrmse(raw.truth.whitened_syx), result


@pytest.mark.parametrize("method", ["svd", "gcc"])
def test_virtual_coils_give_the_image_of_all_coils(conventional_model: Any, method: str) -> None:
    raw = scan(coils=16, acceleration=3.0)
    plain, _ = error(raw, readouts_of(raw), conventional_model)
    settings = {"coil_compression.method": method, "coil_compression.channels": 8}
    compressed, result = error(raw, readouts_of(raw), conventional_model, **settings)
    assert compressed < 1.15 * plain
    assert result.images[0].meta["SmugCoils"] == "8"
    assert f"8 virtual coils of 16 ({method.upper()}), 9" in result.comments
    assert "% of the energy kept" in result.comments


def test_the_energy_decides_how_many_and_too_little_of_it_is_a_warning(conventional_model: Any) -> None:
    raw = scan(coils=16, acceleration=3.0)
    kept = {}
    for energy in ("0.99", "0.6"):
        settings = {"coil_compression.method": "svd", "coil_compression.energy": energy}
        _, result = error(raw, readouts_of(raw), conventional_model, **settings)
        kept[energy] = int(result.images[0].meta["SmugCoils"])
        assert any("of the energy only" in text for text in result.report.warnings) == (energy == "0.6")
    assert 1 <= kept["0.6"] < kept["0.99"] < 16


def test_compression_is_off_by_default_and_wants_one_aim() -> None:
    pipeline = load_pipeline()
    assert pipeline.coil_compression.method == "none"
    for settings in (
        {"coil_compression.method": "gcc"},
        {
            "coil_compression.method": "svd",
            "coil_compression.channels": "4",
            "coil_compression.energy": "0.9",
        },
        {"coil_compression.method": "svd", "coil_compression.energy": "1.5"},
    ):
        with pytest.raises(ConfigurationError):
            pipeline.with_overrides(settings)


@pytest.mark.parametrize("kind", ["zeros", "noise", "loud noise"])
@pytest.mark.parametrize("noise_scan", [True, False])
def test_a_deaf_channel_is_left_out_and_it_is_said(
    conventional_model: Any, kind: str, noise_scan: bool
) -> None:
    """The image is that of the other channels alone, whose noise scan is theirs."""
    raw = scan(coils=6)
    level = 1000.0 if kind == "loud noise" else 1.0
    items = noisy(readouts_of(raw), 2, level, kind == "zeros")
    without = [ismrmrd.Acquisition.from_array(np.delete(r.data, 2, axis=0)) for r in readouts_of(raw)]
    for readout, whole in zip(without, readouts_of(raw), strict=True):
        for name in ("idx", "center_sample", "scan_counter", "sample_time_us", "encoding_space_ref"):
            setattr(readout, name, getattr(whole, name))
        for flag in range(1, 65):
            if whole.flags & (1 << (flag - 1)):
                readout.setFlag(flag)
    if not noise_scan:
        items, without = ([r for r in some if not r.flags & NOISE] for some in (items, without))
    header = header_of(raw)
    found = reconstructed(items, header, conventional_model)
    expected = reconstructed(without, header, conventional_model)
    assert "WARNING: receive channel 2 (counted from 0) without signal: left out" in found.comments
    assert any("receive channel 2" in text for text in found.report.warnings)
    assert found.images[0].meta["SmugCoils"] == "5"
    image, wanted = found.images[0].data, expected.images[0].data
    assert np.all(np.isfinite(image))
    assert np.abs(image - wanted).max() < 1e-3 * wanted.max()


def test_all_channels_are_kept_where_all_are_alive_or_none_is(conventional_model: Any) -> None:
    raw = scan(coils=6)
    result = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
    assert "left out" not in result.comments
    generator = torch.Generator().manual_seed(0)
    noise_cyx = torch.randn(3, 20, 24, dtype=torch.complex64, generator=generator)
    for kspace_cyx in (noise_cyx, torch.zeros_like(noise_cyx)):
        (found,) = leave_out_silent([slice_of(kspace_cyx)], Report())
        assert found.kspace_cyx.shape[0] == 3
        assert not found.notes


def slice_of(kspace_cyx: torch.Tensor) -> Slice:
    lines = torch.ones(kspace_cyx.shape[1], dtype=torch.bool)
    return Slice(SliceKey(0, 0, 0, 0, 0), ismrmrd.AcquisitionHeader(), kspace_cyx, lines, lines, 5.0)


def test_the_rows_of_a_volume_lie_about_its_centre_in_both_directions() -> None:
    lines = torch.ones(12, dtype=torch.bool)
    volume = Volume(
        SliceKey(0, 0, 0, 0, 0),
        ismrmrd.AcquisitionHeader(),
        torch.zeros(1, 12, 4),
        lines,
        lines,
        5.0,
        lines_z=3,
    )
    assert distance_of_rows(volume).reshape(3, 4).tolist() == [[2, 1, 1, 1], [2, 1, 0, 1], [2, 1, 1, 1]]
