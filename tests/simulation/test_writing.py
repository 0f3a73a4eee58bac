"""A scan written to the disk is the scan in memory, however large it is; the default scan stays what it was."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
import pytest
from encoded import QUIET

from smug_recon.errors import ConfigurationError
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw import file as raw_file
from smug_recon.simulation.raw.file import write_raw
from smug_recon.simulation.receiver import lines, scene
from smug_recon.simulation.receiver.lines import LineStore
from smug_recon.simulation.scan import Scanner, simulate_scan
from smug_recon.simulation.truth.truth import read_truth
from smug_recon.simulation.writing import noise_file, write_scan

HEADS = "a78afa0021ba95d9"
SAMPLES = {
    0: (0.3521265, complex(0.0001581243, -0.001717189)),
    31: (0.3534153, complex(-0.0005351248, -0.008710359)),
    32: (0.4218343, complex(0.009390362, -0.004386638)),
    40: (1.253538, complex(-0.006394081, 0.0016528)),
    55: (0.4017606, complex(0.009304818, -0.01248524)),
}
WHITENED = 7.482726
BUSY = replace(QUIET, matrix_xy=(20, 22), slices=2, phases=2, repetitions=2, snr=20.0, noise_scan=True)


def test_streamed_scan_has_the_bytes_of_the_scan_in_memory(tmp_path: Path) -> None:
    scan = simulate_scan(BUSY)
    write_raw(scan, tmp_path / "memory.h5")
    written = list(write_scan(BUSY, tmp_path / "disk.h5", tmp_path / "truth.h5"))
    assert written == list(range(1, len(scan.samples) + 1))
    assert (tmp_path / "memory.h5").read_bytes() == (tmp_path / "disk.h5").read_bytes()
    for name, value in vars(read_truth(tmp_path / "truth.h5")).items():
        np.testing.assert_array_equal(value, getattr(scan.truth, name), err_msg=name)


def test_readouts_in_memory_are_those_of_the_file(tmp_path: Path) -> None:
    scan = simulate_scan(replace(BUSY, phases=1, repetitions=1, reversed_lines=True))
    write_raw(scan, tmp_path / "raw.h5")
    with ismrmrd.Dataset(str(tmp_path / "raw.h5"), create_if_needed=False) as dataset:
        readouts = list(scan.acquisitions())
        assert len(readouts) == dataset.number_of_acquisitions()
        for number in (0, 40, len(readouts) - 1):
            wanted = dataset.read_acquisition(number)
            assert bytes(readouts[number].getHead()) == bytes(wanted.getHead())
            np.testing.assert_array_equal(readouts[number].data, wanted.data)


def test_small_buffers_give_the_same_readouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_raw(simulate_scan(BUSY), tmp_path / "one.h5")
    monkeypatch.setattr(raw_file, "BLOCK_BYTES", 5000)
    monkeypatch.setattr(lines, "MEMORY_BYTES", 1000)
    monkeypatch.setattr(scene, "MAPS_BYTES", 0)
    list(write_scan(BUSY, tmp_path / "many.h5"))
    with h5py.File(tmp_path / "one.h5") as one, h5py.File(tmp_path / "many.h5") as many:
        first, second = one["dataset/data"][:], many["dataset/data"][:]
    np.testing.assert_array_equal(first["head"], second["head"])
    for wanted, found in zip(first["data"], second["data"], strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_scan_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Scanner, "_samples", fail)
    with pytest.raises(KeyboardInterrupt):
        list(write_scan(replace(BUSY, phases=1), tmp_path / "raw.h5"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["group", "file"])
def test_noise_scan_apart_is_named_by_the_header_and_holds_the_same_readouts(
    tmp_path: Path, place: str
) -> None:
    settings = replace(BUSY, phases=1, repetitions=1)
    whole, path = simulate_scan(settings), tmp_path / "raw.h5"
    list(write_scan(settings, path, noise_in=place))
    noise = (path, "dataset_1") if place == "group" else (noise_file(path), "dataset")
    scan = (path, "dataset_2" if place == "group" else "dataset")
    found = []
    for file, group in (noise, scan):
        with ismrmrd.Dataset(str(file), group, create_if_needed=False) as dataset:
            header = ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
            rows = [dataset.read_acquisition(row) for row in range(dataset.number_of_acquisitions())]
            assert [row.scan_counter for row in rows] == list(range(1, len(rows) + 1))
            found.append((header.measurementInformation, rows))
    (about, noise_rows), (imaging, rows) = found
    assert [each.measurementID for each in imaging.measurementDependency] == [about.measurementID]
    assert imaging.measurementDependency[0].dependencyType == "Noise"
    assert imaging.measurementID != about.measurementID and not about.measurementDependency
    for readout, wanted in zip([*noise_rows, *rows], whole.samples, strict=True):
        np.testing.assert_array_equal(readout.data, wanted)


def test_noise_that_is_not_there_cannot_lie_apart(tmp_path: Path) -> None:
    for settings, place in ((QUIET, "group"), (BUSY, "cupboard")):
        with pytest.raises(ConfigurationError, match="noise-in"):
            next(write_scan(settings, tmp_path / "raw.h5", noise_in=place))


def test_line_store_goes_to_the_disk_beyond_its_memory() -> None:
    store = LineStore(2, 5, memory_bytes=300)
    block = np.arange(40, dtype=np.complex64).reshape(4, 2, 5)
    store.put(3, block)
    store.put(1, 1j * block[:2])
    np.testing.assert_array_equal(store.get(1, 2), 1j * block[:2])
    np.testing.assert_array_equal(store.get(4)[0], block[1])
    assert store._file._rolled  # 7 lines of 80 bytes
    with pytest.raises(IndexError, match="lines 6 to 7"):
        store.get(6, 2)
    store.close()


def test_the_scan_of_the_first_version_is_unchanged() -> None:
    """Written down when there were no other options; the head is computed in float32, hence the tolerance."""
    scan = simulate_scan(
        ScanSettings(matrix_xy=(40, 48), coils=4, acs=8, slices=2, snr=20.0, spacing_mm=20.0, seed=3)
    )
    assert hashlib.sha256(scan.heads.tobytes()).hexdigest()[:16] == HEADS
    for number, (total, first) in SAMPLES.items():
        assert np.linalg.norm(scan.samples[number]) == pytest.approx(total, rel=1e-4)
        assert scan.samples[number][0, 0] == pytest.approx(first, rel=1e-3)
    assert float(np.linalg.norm(scan.truth.whitened_syx)) == pytest.approx(WHITENED, rel=1e-4)
