"""A disk that hangs, lags behind or is full ends the spool, aloud, and never the session; what waits for it is bounded."""

from __future__ import annotations

import errno
import os
import subprocess
import threading

import pytest
from spool_bytes import HANDSHAKE, READOUT, stream

from smug_recon.errors import ConfigurationError
from smug_recon.pipeline import SpoolSettings, load_pipeline
from smug_recon.spool import Keeping, SpoolFolder, writer
from smug_recon.spool.record import read_record


def test_a_disk_that_hangs_does_not_hold_the_scan_up(keep, monkeypatch):
    """fsync never returns: at the next slice the spool is given up, once, aloud; the session ends in time."""
    stuck, released = threading.Event(), threading.Event()

    def hang(descriptor: int) -> None:
        stuck.set()
        released.wait(60)

    monkeypatch.setattr(writer, "synchronise", hang)
    monkeypatch.setattr(writer, "PATIENCE_S", 0.2)
    keeping, said = keep(), []
    keeping.alarm = said.append
    keeping.slice_ended()
    assert stuck.wait(30)
    keeping.hear(READOUT)
    keeping.slice_ended()
    keeping.hear(READOUT)
    assert len(said) == 1 and "NOT KEPT" in said[0] and "took no byte" in said[0]
    keeping.end()
    released.set()


def test_memory_is_bounded_while_the_disk_is_behind(keep, monkeypatch):
    released = threading.Event()
    real = os.write

    def slow(descriptor, data):
        released.wait(60)
        return real(descriptor, data)

    monkeypatch.setattr(writer, "PIECE_BYTES", 1000)
    monkeypatch.setattr(writer, "MOST_WAITING_BYTES", 5000)
    keeping = keep()
    keeping.slice_ended()
    monkeypatch.setattr(writer.os, "write", slow)
    heard = 0

    def hear() -> None:
        nonlocal heard
        for _ in range(100):
            keeping.hear(READOUT)
            heard += len(READOUT)

    session = threading.Thread(target=hear, daemon=True)
    session.start()
    session.join(0.5)
    assert session.is_alive() and heard < 8000  # it waits for the disk
    released.set()
    session.join(30)
    keeping.end()
    assert stream(keeping) == HANDSHAKE + READOUT * 100


class Full:
    """A disk with room for so many bytes."""

    def __init__(self, monkeypatch, room: int) -> None:
        self.room, self._real = room, os.write
        monkeypatch.setattr(writer.os, "write", self.write)

    def write(self, descriptor, data):
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = self._real(descriptor, data[: self.room])
        self.room -= count
        return count


def test_a_full_disk_ends_the_spool_aloud_and_not_the_session(keep, monkeypatch):
    keeping, said = keep(), []
    keeping.alarm = said.append
    keeping.slice_ended()
    Full(monkeypatch, 1500)
    for _ in range(5):
        keeping.hear(READOUT)
        keeping.slice_ended()
    assert len(said) == 1 and "No space left" in said[0] and keeping.name in said[0]
    assert "No space left" in keeping.footnote()
    keeping.end("failed")
    assert stream(keeping) == (HANDSHAKE + READOUT * 5)[: len(HANDSHAKE) + 1500]
    assert read_record(keeping._spool.path).stopped == "No space left on device"


def test_before_a_full_disk_ends_a_spool_older_ones_make_room(keep, monkeypatch):
    old = keep(READOUT, "done")
    keeping = keep()
    keeping.slice_ended()
    disk = Full(monkeypatch, 100)
    real = SpoolFolder.make_room

    def make_room(folder):
        gone = real(folder)
        disk.room += 10_000 if gone else 0
        return gone

    monkeypatch.setattr(SpoolFolder, "make_room", make_room)
    keeping.hear(READOUT)
    keeping.end()
    assert stream(keeping) == HANDSHAKE + READOUT and not keeping.trouble
    assert not old._spool.path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small tmpfs")
def test_a_disk_that_is_really_full(tmp_path, settings):
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {made.stderr.decode().strip()}")
    try:
        keeping = Keeping(settings(folder=disk / "spools"))
        keeping.hear(HANDSHAKE)
        keeping.begin()
        content = os.urandom(1 << 20)
        for at in range(0, len(content), 4096):
            keeping.hear(content[at : at + 4096])
        keeping.slice_ended()
        keeping.end()
        kept = stream(keeping)
        assert "No space left" in keeping.trouble
        assert 100_000 < len(kept) < 262_144 and (HANDSHAKE + content).startswith(kept)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_session_has_a_bound_of_its_own(keep):
    keeping, said = keep(session_gigabytes=1e-5), []
    keeping.alarm = said.append
    keeping.hear(READOUT * 5)
    keeping.slice_ended()
    keeping.hear(READOUT * 9)
    keeping.slice_ended()
    keeping.end()
    assert "session_gigabytes" in said[0] and stream(keeping) == HANDSHAKE + READOUT * 5


def test_a_folder_that_cannot_be_written_is_refused_at_the_start_and_outlived_in_a_session(tmp_path):
    (tmp_path / "file").write_text("no folder")
    settings = SpoolSettings(folder=tmp_path / "file" / "spools")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        SpoolFolder(settings).check()
    keeping, said = Keeping(settings), []
    keeping.alarm = said.append
    keeping.hear(HANDSHAKE)
    keeping.begin()
    keeping.hear(READOUT)
    keeping.slice_ended()
    keeping.end()
    assert len(said) == 1 and "NOT KEPT" in said[0]


def test_a_spool_that_cannot_begin_is_said_once_there_is_somebody_to_tell(settings, monkeypatch, caplog):
    """No thread for it, say: the session begins all the same, and its images say so."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(writer.threading.Thread, "start", start)
    keeping, said = Keeping(settings()), []
    keeping.hear(HANDSHAKE)
    keeping.begin()
    assert "NOT KEPT: can't start new thread" in caplog.text
    keeping.settled(load_pipeline(), said.append)
    keeping.hear(READOUT)
    keeping.end()
    assert len(said) == 1 and "NOT KEPT" in said[0] and keeping.footnote() == ""
