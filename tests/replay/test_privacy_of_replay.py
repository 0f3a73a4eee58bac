"""Marked names, dates and numbers of the header: not in logs, reports, tables and file names of an offline reconstruction."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pydicom
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "gadgets"))  # marked, small_scan
from ismrmrd.hdf5 import acquisition_dtype
from marked import BROKEN, MARK, TITLE, identified
from small_scan import SmallScan, header_xml

MAY_NAME = {".h5", ".dcm"}
"""Files that are the images themselves, patient and all."""


def write(path: Path, xml: bytes) -> Path:
    """A raw file of the small scan under this header."""
    scan = SmallScan()
    scan.add_noise_scan()
    scan.add_slice()
    rows = np.empty(len(scan.readouts), acquisition_dtype)
    for number, line in enumerate(scan.readouts):
        rows["head"][number] = np.frombuffer(bytes(line.getHead()), acquisition_dtype["head"])[0]
        rows["traj"][number] = np.zeros(0, np.float32)
        rows["data"][number] = line.data.view(np.float32).ravel()
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        group.create_dataset("xml", shape=(1,), dtype=h5py.special_dtype(vlen=bytes))[0] = xml
        group.create_dataset("data", data=rows)
    return path


def command(*words: str | Path) -> subprocess.CompletedProcess[bytes]:
    """smug-recon in a process of its own, everything logged that can be."""
    environment = {**os.environ, "GADGETRON_EXTERNAL_LOG_LEVEL": "DEBUG", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "smug_recon", *map(str, words)],
        capture_output=True,
        env=environment,
        timeout=400,
    )


def marked_files(folder: Path) -> list[str]:
    """Files, other than images, that hold a mark, and files that are named after one."""
    found = []
    for path in folder.rglob("*"):
        named = MARK.search(path.relative_to(folder).as_posix())
        text = path.read_bytes().decode("latin-1") if path.is_file() and path.suffix not in MAY_NAME else ""
        if named or MARK.search(text):
            found.append(path.name)
    return found


def test_a_reconstruction_names_the_patient_on_images_alone(tmp_path):
    raw = write(tmp_path / "scan.h5", identified(header_xml()))
    ran = command("replay", raw, "-o", tmp_path / "out", "--samples", "0")
    said = (ran.stdout + ran.stderr).decode(errors="replace")
    assert ran.returncode in (0, 3), said
    assert not MARK.search(said) and not TITLE.search(said) and not marked_files(tmp_path / "out")
    assert not TITLE.search((tmp_path / "out" / "node.log").read_text())
    files = sorted((tmp_path / "out").rglob("*.dcm"))
    assert files and "ZZMARK" in str(pydicom.dcmread(files[0]).PatientName)  # it was the marked scan


def test_an_anonymous_study_holds_no_mark(tmp_path):
    from smug_recon.dicom import write_dicom
    from smug_recon.replay.messages.header import parse_header

    sys.path.insert(0, str(Path(__file__).parents[1] / "dicom"))
    from dicom_scans import KINDS

    header = parse_header(identified(header_xml()))[0]
    for multiframe in (False, True):
        folder = tmp_path / str(multiframe)
        files = write_dicom(KINDS["slices"](), header, folder, anonymise=True, multiframe=multiframe)
        assert files
        for path in files:
            text = "".join(str(part) for part in pydicom.dcmread(path).iterall() if part.VR != "OW")
            assert not MARK.search(text) and not MARK.search(path.name) and b"ZZMARK" not in path.read_bytes()


@pytest.mark.parametrize("fault", BROKEN)
def test_wrong_headers_are_described_without_their_values(fault, caplog):
    import logging

    from smug_recon.errors import SmugReconError
    from smug_recon.gadgets.header.plan import build_plan
    from smug_recon.pipeline import load_pipeline
    from smug_recon.replay.messages.header import parse_header

    caplog.set_level(logging.DEBUG)
    said = ""
    try:
        build_plan(parse_header(BROKEN[fault](identified(header_xml())))[0], load_pipeline())
    except SmugReconError as error:
        said = str(error)
    assert not MARK.search(said + caplog.text)


def test_check_and_a_broken_scan_say_nothing_of_the_patient(tmp_path):
    raw = write(tmp_path / "birth.h5", BROKEN["a birth date that is none"](identified(header_xml())))
    for words in (
        ("check", "smug-cartesian", "--raw", raw),
        ("replay", raw, "-o", tmp_path / "out", "--samples", "0"),
    ):
        ran = command(*words)
        assert not MARK.search((ran.stdout + ran.stderr).decode(errors="replace")), ran.stderr.decode()
    assert not marked_files(tmp_path / "out")
