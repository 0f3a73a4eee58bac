"""A disk that is full: one clear error with exit code 1, nothing half written, and what an earlier run left stays."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import ismrmrd
import numpy as np
import pytest

from smug_recon.errors import OutputError
from smug_recon.gadgets.flow.timing import TIMING_FILE, Report
from smug_recon.replay.results import disk
from smug_recon.replay.results.images import ImageFile, read_images
from smug_recon.replay.results.outputs import write_all_dicom

FULL = Path("/dev/full")
full = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full (Linux)")


def image(series: int = 1) -> ismrmrd.Image:
    found = ismrmrd.Image(data=np.ones((1, 1, 16, 16), np.float32))
    found.image_series_index = series
    found.field_of_view = (16.0, 16.0, 5.0)
    return found


def fills_after(monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    """Let the disk be full from some question for room on."""
    left = iter([1 << 40] * calls)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=next(left, 1000)))


def test_a_disk_that_fills_in_mid_scan_is_one_error_and_leaves_the_earlier_images(tmp_path, monkeypatch):
    path = tmp_path / "images.h5"
    with ImageFile(path, b"<a/>") as file:
        file.append(image())
        file.finish()
    before = path.read_bytes()
    fills_after(monkeypatch, 3)
    with pytest.raises(OutputError, match="No space left on device"), ImageFile(path, b"<a/>") as file:
        for _ in range(9):
            file.append(image())
    assert file.counts == {"images_1": 2}
    assert [found.name for found in tmp_path.iterdir()] == ["images.h5"] and path.read_bytes() == before
    assert len(list(read_images(path, "images_1"))) == 1


def test_the_command_says_it_once_and_ends_with_1(
    node,
    command,
    scan,
    write_hdf5,
    tmp_path,
    monkeypatch,
):
    node("sums")
    raw = write_hdf5(scan([(8, 2, 0)] * 5))
    fills_after(monkeypatch, 3)
    code, _, said = command(raw, "-o", tmp_path / "out")
    assert code == 1 and said.count("No space left on device") == 1
    assert said.startswith("smug-recon: OutputError: found ") and "make room" in said
    assert [found.name for found in (tmp_path / "out").iterdir()] == ["node.log"]


@full
def test_dicom_files_are_all_there_or_none(tmp_path):
    """The second file of a series goes to a device that is full."""
    images = tmp_path / "images.h5"
    with ImageFile(images, b"<a/>") as file:
        for number in range(3):
            found = image()
            found.image_index = found.slice = number + 1
            file.append(found)
        file.finish()
    folder = tmp_path / "dicom"
    folder.mkdir()
    (folder / "00101_00002.dcm.incomplete").symlink_to(FULL)
    header = ismrmrd.xsd.ismrmrdHeader(
        experimentalConditions=ismrmrd.xsd.experimentalConditionsType(H1resonanceFrequency_Hz=1)
    )
    with pytest.raises(OutputError, match="No space left"), disk.written_to(tmp_path):
        write_all_dicom(file, header, folder)
    assert list(folder.iterdir()) == [] and images.exists()


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(errno.EROFS, "read-only"), errno.EROFS),
        (RuntimeError("Can't close (file write failed: errno = 28, error message = ...)"), errno.ENOSPC),
        (OSError("Can't write data (errno = 122, error message = 'Disk quota exceeded')"), errno.EDQUOT),
    ],
)
def test_what_the_disk_refuses_is_told_in_the_words_of_the_system(tmp_path, error, number):
    (tmp_path / "a.incomplete").touch()
    (tmp_path / "a.dcm").touch()
    with pytest.raises(OutputError) as caught, disk.written_to(tmp_path):
        raise error
    assert os.strerror(number) in caught.value.found and [p.name for p in tmp_path.iterdir()] == ["a.dcm"]


@pytest.mark.parametrize("error", [RuntimeError("a fault"), OSError(errno.ECONNRESET, "gone")])
def test_other_errors_pass(tmp_path, error):
    with pytest.raises(type(error)) as caught, disk.written_to(tmp_path):
        raise error
    assert caught.value is error


@full
@pytest.mark.skipif(sys.platform == "win32", reason="needs /dev/full")
def test_a_report_that_cannot_be_written_costs_no_image(monkeypatch, caplog):
    monkeypatch.setenv(TIMING_FILE, str(FULL))
    Report().finish()
    assert "the report of the scan cannot be written (No space left on device)" in caplog.text
