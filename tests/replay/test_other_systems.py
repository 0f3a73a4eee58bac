"""Systems that set a process no limits and cannot wait for a pipe, as Windows: raw files are read all the same, and it is said.

What such a system lacks is hidden here; nothing of this has run on one.
"""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path

import pytest

from smug_recon.replay import open_raw
from smug_recon.replay.hdf5.direct import open_here
from smug_recon.replay.reading.haltable import haltable
from smug_recon.spool.record import OWNER, reading, take_lock


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``fcntl``, ``resource`` and ``select.poll``, the first two in processes that are started as well."""
    for name in ("fcntl", "resource"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not on this system')\n")
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delattr(select, "poll")


def test_raw_files_are_read_and_it_is_said_that_nothing_limits_that(bare, scan, write_hdf5, caplog):
    path = write_hdf5(scan([(8, 2, 0), (8, 2, 3)] * 30, 2), "dataset")
    with open_raw(path) as raw, open_here(path) as here:
        assert [block.payload for block in raw.blocks()] == [block.payload for block in here.blocks()]
        assert raw.header_xml == here.header_xml
    assert caplog.text.count("sets a process no limits") == 1


def test_where_there_are_limits_nothing_is_said(scan, write_hdf5, caplog):
    with open_raw(write_hdf5(scan([(8, 2, 0)] * 3), "dataset")) as raw:
        assert list(raw.blocks())
    assert "limits" not in caplog.text


def test_everything_that_replay_needs_can_be_imported(bare):
    rooms = ("commands.replay", "replay", "gadgets", "gadgets.scan", "gadgets.stream", "report", "dicom")
    words = "; ".join(f"import smug_recon.{room}" for room in rooms)
    subprocess.run([sys.executable, "-c", words], check=True, timeout=120)


def test_a_file_that_cannot_be_locked_is_an_error_and_a_spool_without_locks_is_read(bare, tmp_path):
    (tmp_path / OWNER).write_bytes(b"0")
    with (tmp_path / OWNER).open("rb") as owner, pytest.raises(OSError, match="no locks"):
        take_lock(owner)
    with reading(tmp_path) as over:
        assert over


def test_a_pipe_that_cannot_be_waited_for_is_read_in_one_thread(bare, tmp_path):
    (tmp_path / "raw").write_bytes(b"1")
    with (tmp_path / "raw").open("rb") as file:
        assert haltable(file) is None
