"""HDF5 read in a second process: the same bytes and the same errors, and no file that hangs or crashes the first one."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
import pytest
from damaged_heap import endless
from typer.testing import CliRunner

from smug_recon.__main__ import app
from smug_recon.errors import ConfigurationError, DataError, SmugReconError
from smug_recon.replay import open_raw, replay
from smug_recon.replay.hdf5 import child
from smug_recon.replay.hdf5.child import VARIABLE, Child
from smug_recon.replay.hdf5.direct import open_here
from smug_recon.replay.hdf5.watched import WatchedRaw, examine

NOISE = ismrmrd.ACQ_IS_NOISE_MEASUREMENT


def everything(raw):
    with raw:
        blocks = [(block.payload, block.acquisitions, block.others) for block in raw.blocks()]
        others = list(raw.other_scans())
        return raw.header_xml, raw.acquisitions, raw.others, blocks, raw.heads().tobytes(), others


@pytest.fixture
def groups(scan, write_hdf5):
    """A file of three scans: an image with waveforms, another, and one of noise."""
    write_hdf5(scan([(8, 2, 0), (8, 2, 3)] * 30, 2), "dataset")
    write_hdf5(scan([(4, 1, 0)] * 3, seed=1), "second")
    noise = scan([(16, 2, 0)] * 3, seed=2)
    for line in noise:
        line.clearAllFlags()
        line.setFlag(NOISE)
    return write_hdf5(noise, "third")


@pytest.fixture
def fastmri(tmp_path, shared_header):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "fastmri.h5", "w") as file:
        file["kspace"] = (rng.standard_normal((2, 3, 16, 16)) + 0j).astype(np.complex64)
        file["ismrmrd_header"] = shared_header
    return tmp_path / "fastmri.h5"


@pytest.fixture
def shared_header(write_stream):
    with open_raw(write_stream([])) as raw:
        return raw.header_xml


@pytest.fixture
def hurried(monkeypatch):
    """A tenth of a second of processor time instead of a minute; the kernel counts in whole seconds."""
    monkeypatch.setenv(VARIABLE, "0.1")


@pytest.mark.parametrize("kind", ["groups", "fastmri"])
def test_what_comes_out_is_what_is_read_here_byte_for_byte(kind, request):
    path = request.getfixturevalue(kind)
    found = everything(open_raw(path))
    assert found == everything(open_here(path))
    if kind == "groups":
        assert [(scan.name, scan.noise_only) for scan in found[-1]] == [("second", False), ("third", True)]
        assert len(found[3]) > 1


def test_so_do_the_log_and_the_errors(groups, fastmri, caplog, tmp_path):
    for opened in (open_raw, open_here):
        caplog.clear()
        opened(fastmri).close()
        assert [(one.levelno, one.name) for one in caplog.records] == [
            (logging.WARNING, "smug_recon.replay.hdf5.fastmri")
        ]
    whole, cut = groups.read_bytes(), tmp_path / "cut.h5"
    for content in (whole[: len(whole) // 2], whole[:-400], whole[:8] + bytes(2000)):
        cut.write_bytes(content)
        said = []
        for opened in (open_raw, open_here):
            with pytest.raises(SmugReconError) as raised:
                everything(opened(cut))
            said.append((type(raised.value), str(raised.value)))
        assert said[0] == said[1]


def test_iterations_do_not_disturb_each_other(groups):
    with open_raw(groups) as raw, open_here(groups) as here:
        expected = [block.payload for block in here.blocks()]
        first, second = raw.blocks(), raw.blocks()
        assert next(first).payload == expected[0]
        assert next(second).payload == expected[0]
        assert len(raw.heads()) == 60
        assert [block.payload for block in second] == expected[1:]
        assert next(first).payload == expected[1]
        first.close()
        assert [block.payload for block in raw.blocks()] == expected


def test_a_header_that_hdf5_reads_for_ever_is_one_error(scan, write_hdf5, hurried):
    path = endless(write_hdf5(scan([(8, 2, 0)] * 2)))
    with pytest.raises(DataError, match=r"raw\.h5, in which HDF5 goes round in circles"):
        open_raw(path)
    with pytest.raises(DataError, match="round in circles"):
        examine(path)


def test_in_mid_scan_what_came_before_has_arrived(scan, write_hdf5, hurried):
    path = endless(write_hdf5(scan([(64, 2, 0)] * 60)), -1)
    arrived = 0
    with open_raw(path) as raw:
        with pytest.raises(DataError, match="round in circles"):
            for block in raw.blocks():
                arrived += block.acquisitions
        with pytest.raises(DataError, match="round in circles"):
            next(raw.blocks())
    assert arrived == 16


def test_replay_ends_with_one_error(scan, write_hdf5, hurried, tmp_path):
    path = endless(write_hdf5(scan([(64, 2, 0)] * 60)), -1)
    with pytest.raises(DataError, match="round in circles"):
        replay(path, tmp_path / "out")
    assert not (tmp_path / "out" / "images.h5").exists()


def test_check_ends_with_one_error(scan, write_hdf5, hurried):
    path = endless(write_hdf5(scan([(64, 2, 0)] * 2)))
    found = CliRunner().invoke(app, ["check", "--raw", str(path)]).exception
    assert isinstance(found, DataError) and "round in circles" in str(found)


def test_standard_input_ends_with_one_error(scan, write_hdf5, hurried, monkeypatch):
    content = io.BytesIO(endless(write_hdf5(scan([(64, 2, 0)] * 60)), -1).read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(content)))
    with open_raw("-") as raw, pytest.raises(DataError, match="standard input, in which HDF5 goes round"):
        list(raw.items())


def test_training_leaves_the_file_out(scan, write_hdf5, hurried, tmp_path, caplog):
    from smug_recon.training.measured import collect

    with pytest.raises(SmugReconError, match="no usable raw file"):
        collect(endless(write_hdf5(scan([(64, 2, 0)] * 2))), tmp_path / "cache")
    assert "round in circles" in caplog.text


@pytest.mark.parametrize("given", ["soon", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_none_is_refused(given, groups, monkeypatch):
    monkeypatch.setenv(VARIABLE, given)
    with pytest.raises(ConfigurationError, match=VARIABLE):
        open_raw(groups)


def test_a_crash_of_the_library_is_one_error():
    process = Child("crash.h5")
    os.kill(process._process.pid, signal.SIGSEGV)
    for _ in range(2):
        with pytest.raises(DataError, match=r"crash.h5, on which HDF5 crashes \(SIGSEGV\)"):
            process.ask("look", "crash.h5")
    process.close()


def test_a_disk_that_does_not_answer_is_one_error(monkeypatch):
    monkeypatch.setattr(child, "SILENCE_S", 1)
    process = Child("share.h5")
    os.kill(process._process.pid, signal.SIGSTOP)
    with pytest.raises(DataError, match=r"share\.h5, of which nothing came for 1 s"):
        process.ask("look", "share.h5")
    process.close()
    assert process._process.returncode == -signal.SIGKILL


def test_closing_ends_a_process_that_another_thread_waits_for(groups):
    raw = WatchedRaw(groups)
    process = raw._child._process
    os.kill(process.pid, signal.SIGSTOP)
    found = []

    def read():
        with pytest.raises(DataError):
            found.extend(raw.blocks())

    reader = threading.Thread(target=read)
    reader.start()
    raw.close()
    reader.join(60)
    assert not reader.is_alive() and found == [] and process.returncode == -signal.SIGKILL
    with pytest.raises(DataError, match="closed"):
        next(raw.blocks())


def test_the_reader_ends_with_us_and_may_do_little(groups):
    """Even where we are killed; no files, no core, a bounded memory."""
    code = (
        "import sys, time; from smug_recon.replay import open_raw\n"
        f"raw = open_raw({str(groups)!r}); print(raw._child._process.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        reader = Path("/proc") / parent.stdout.readline().strip()
        if not reader.parent.is_dir():
            pytest.skip("needs /proc")
        limits = (reader / "limits").read_text()
        parent.kill()
    for what, most in (("address space", 8 << 30), ("core file size", 0), ("file size", 1 << 20)):
        assert next(line for line in limits.splitlines() if f"Max {what}" in line).split()[-3] == str(most)
    end = time.monotonic() + 120
    while reader.exists() and "zombie" not in (reader / "status").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_examining_a_whole_file_says_nothing(groups, fastmri, tmp_path):
    examine(groups, fastmri, __file__, tmp_path / "none.h5")


@pytest.mark.parametrize("command", ["dicom", "explain", "report", "compare"])
def test_nor_do_the_commands_that_read_images(command, tmp_path, write_hdf5, hurried):
    path = endless(write_hdf5([], name="images.h5"))
    words = {
        "dicom": [path, "-o", tmp_path / "dicom"],
        "explain": [path],
        "report": [tmp_path],
        "compare": [path, path],
    }
    found = CliRunner().invoke(app, [command, *map(str, words[command])])
    assert isinstance(found.exception, DataError) and "round in circles" in str(found.exception)
