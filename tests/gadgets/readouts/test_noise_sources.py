"""A noise scan counts wherever it is: in the stream, in another group of the file, in a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np
import pytest
from simulated import NOISE, header_of, parts_of, readouts_of, reconstructed, scan

from smug_recon.errors import DataError
from smug_recon.replay import open_raw
from smug_recon.replay.messages.header import parse_header
from smug_recon.replay.messages.wire import items
from smug_recon.replay.reading.heads import read_heads
from smug_recon.replay.reading.noise import heads_with_noise, noise_from_file, noise_scan, without_noise
from smug_recon.replay.results.images import open_dataset


def write(path: Path, group: str, header: Any, readouts: list[ismrmrd.Acquisition]) -> Path:
    with open_dataset(path, "a", group) as dataset:
        dataset.write_xml_header(ismrmrd.xsd.ToXML(header).encode())
        for readout in readouts:
            dataset.append_acquisition(readout)
    return path


def permuted(readouts: list[ismrmrd.Acquisition], header: Any, order: list[int]) -> Any:
    """Reorder the channels of some readouts in place; returns a header whose coil names tell."""
    labels = header.acquisitionSystemInformation.coilLabel
    header.acquisitionSystemInformation.coilLabel = [labels[coil] for coil in order]
    header.acquisitionSystemInformation.receiverChannels = len(order)
    for number, readout in enumerate(readouts):
        made = ismrmrd.Acquisition.from_array(np.ascontiguousarray(readout.data[order]))
        head = readout.getHead()
        head.active_channels = head.available_channels = len(order)
        made.setHead(head)
        readouts[number] = made
    return header


def played(path: Path, model: Any, group: str | None = None, given: Path | None = None) -> Any:
    """Run the chain over what a replay would send."""
    heads = read_heads(path, group)[1]
    with open_raw(path, group) as raw:
        header, _ = parse_header(raw.header_xml)
        noise = noise_scan(raw, path, header, heads, given)
        blocks = list(raw.blocks())
    own = list(items(iter(blocks)))
    before = [] if noise is None else list(items(noise.blocks()))
    return reconstructed([*before, *own], header, model)


@pytest.fixture
def reference(conventional_model: Any) -> Any:
    raw = scan(snr=20.0)
    found = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
    assert found.images[0].meta["SmugPrewhitened"] == "1"
    assert found.nrmse(raw.truth.whitened_syx) < 0.16
    return found


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]], ids=["same order", "other order"])
@pytest.mark.parametrize("declared", [True, False], ids=["by measurement ID", "by its readouts"])
def test_a_noise_scan_in_another_group_gives_the_image_of_one_in_the_stream(
    order: list[int], declared: bool, reference: Any, conventional_model: Any, tmp_path: Path
) -> None:
    raw = scan(snr=20.0)
    noise, imaging = parts_of(raw)
    header, other = header_of(raw), permuted(noise, header_of(raw), order)
    other.measurementInformation.measurementID = "n_17"
    if declared:
        dependency = ismrmrd.xsd.measurementDependencyType(dependencyType="Noise", measurementID="n_17")
        header.measurementInformation.measurementDependency = [dependency]
        noise += [imaging[0]]  # an adjustment scan has lines of other kinds as well
        noise[-1] = ismrmrd.Acquisition.from_array(noise[0].data.copy())
    path = write(tmp_path / "raw.h5", "dataset_1", other, noise)
    write(path, "dataset_2", header, imaging)
    found = played(path, conventional_model, "dataset_2" if declared else None)
    assert found.images[0].meta["SmugPrewhitened"] == "1"
    np.testing.assert_array_equal(found.images[0].data, reference.images[0].data)


def test_a_dependency_file_with_more_coils_serves_those_of_the_scan(
    conventional_model: Any, tmp_path: Path
) -> None:
    raw = scan(snr=20.0)
    noise, imaging = parts_of(raw)
    header = permuted(imaging, header_of(raw), [2, 0, 3])
    expected = reconstructed(
        [*(copy for copy in three(noise, [2, 0, 3])), *imaging], header, conventional_model
    )
    path = write(tmp_path / "raw.h5", "dataset", header, imaging)
    given = write(tmp_path / "noise.h5", "dataset", header_of(raw), noise)
    found = played(path, conventional_model, given=given)
    np.testing.assert_array_equal(found.images[0].data, expected.images[0].data)
    heads = heads_with_noise(path, None, header, read_heads(path)[1], given)
    assert int((heads["flags"] & np.uint64(NOISE) != 0).sum()) == len(noise)
    assert set(heads["active_channels"].tolist()) == {3}


def three(noise: list[ismrmrd.Acquisition], order: list[int]) -> list[ismrmrd.Acquisition]:
    made = list(noise)
    permuted(made, header_of(scan(snr=20.0)), order)
    return made


def test_a_noise_scan_without_a_coil_of_the_scan_is_refused_by_name(tmp_path: Path) -> None:
    raw = scan(snr=20.0)
    noise, _ = parts_of(raw)
    other = permuted(noise, header_of(raw), [0, 1, 3])
    given = write(tmp_path / "noise.h5", "dataset", other, noise)
    with pytest.raises(DataError, match="without the coils Head_3"):
        noise_from_file(given, header_of(raw), 4)


def test_without_coil_names_the_number_must_agree(tmp_path: Path, caplog: Any) -> None:
    raw = scan(snr=20.0)
    noise, _ = parts_of(raw)
    header = header_of(raw)
    header.acquisitionSystemInformation.coilLabel = []
    given = write(tmp_path / "noise.h5", "dataset", header, noise)
    assert len(noise_from_file(given, header_of(raw), 4).readouts) == len(noise)
    assert "same order" in caplog.text
    with pytest.raises(DataError, match="4 coils and imaging lines of 3"):
        noise_from_file(given, header_of(raw), 3)


def test_a_file_without_noise_is_refused_and_a_missing_dependency_is_said(
    tmp_path: Path, caplog: Any
) -> None:
    raw = scan(snr=20.0)
    _, imaging = parts_of(raw)
    header = header_of(raw)
    dependency = ismrmrd.xsd.measurementDependencyType(dependencyType="noise", measurementID="n_99")
    header.measurementInformation.measurementDependency = [dependency]
    path = write(tmp_path / "raw.h5", "dataset", header, imaging)
    with pytest.raises(DataError, match="no readouts flagged as noise"):
        noise_from_file(path, header, 4)
    with open_raw(path) as opened:
        assert noise_scan(opened, path, header, read_heads(path)[1]) is None
    assert "n_99" in caplog.text and "--noise" in caplog.text


def test_a_noise_scan_of_its_own_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    raw = scan(snr=20.0)
    noise, _ = parts_of(raw)
    path = write(tmp_path / "raw.h5", "dataset_1", header_of(raw), noise)
    write(path, "dataset", header_of(raw), readouts_of(raw))
    with open_raw(path) as opened:
        assert noise_scan(opened, path, header_of(raw), read_heads(path)[1]) is None
        left = list(items(without_noise(opened.blocks())))
    assert [r.to_bytes() for r in left] == [r.to_bytes() for r in readouts_of(raw) if not r.flags & NOISE]


def test_noise_readouts_of_several_dwell_times_are_brought_to_one(
    reference: Any, conventional_model: Any
) -> None:
    raw = scan(snr=20.0)
    readouts = readouts_of(raw)
    for readout in [r for r in readouts if r.flags & NOISE][::2]:
        readout.data[:] *= np.float32(2.0)  # a quarter of the dwell time: four times the variance
        readout.sample_time_us /= 4
    found = reconstructed(readouts, header_of(raw), conventional_model)
    np.testing.assert_allclose(found.images[0].data, reference.images[0].data, rtol=1e-3, atol=1e-4)


def test_samples_to_discard_are_no_noise(reference: Any, conventional_model: Any) -> None:
    raw = scan(snr=20.0)
    readouts = readouts_of(raw)
    for number, readout in enumerate(readouts):
        if readout.flags & NOISE:
            wide = np.pad(readout.data, ((0, 0), (7, 3)), constant_values=1e6)
            head = readout.getHead()
            head.number_of_samples, head.discard_pre, head.discard_post = wide.shape[1], 7, 3
            readouts[number] = ismrmrd.Acquisition(head, wide.astype(np.complex64))
    found = reconstructed(readouts, header_of(raw), conventional_model)
    np.testing.assert_array_equal(found.images[0].data, reference.images[0].data)


def test_the_first_group_with_imaging_lines_is_the_scan(tmp_path: Path) -> None:
    raw = scan(snr=20.0)
    noise, imaging = parts_of(raw)
    path = write(tmp_path / "raw.h5", "dataset_1", header_of(raw), noise)
    write(path, "dataset_2", header_of(raw), imaging)
    with open_raw(path) as opened:
        assert opened.acquisitions == len(imaging)
    with h5py.File(path) as file:
        assert sorted(file) == ["dataset_1", "dataset_2"]
