"""What is heard is on disk, byte for byte; what waits for the disk is bounded; nobody else can read it."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spool_bytes import HANDSHAKE

from smug_recon.__main__ import main
from smug_recon.errors import ConfigurationError
from smug_recon.pipeline import SpoolSettings, load_pipeline
from smug_recon.spool import Keeping, SpoolFolder, from_environment, writer
from smug_recon.spool.record import STREAM, is_spool, read_record

READOUT = bytes(range(256)) * 4  # longer than the shortest message with a readout


def stream(keeping: Keeping) -> bytes:
    return (keeping._spool.path / STREAM).read_bytes()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(st.binary(max_size=3000), max_size=20),
    slices=st.sets(st.integers(0, 19)),
    piece=st.sampled_from([1, 100, 1 << 18]),
)
def test_bytes_in_are_bytes_out_however_they_arrive(parts, slices, piece, monkeypatch):
    monkeypatch.setattr(writer, "PIECE_BYTES", piece)
    with tempfile.TemporaryDirectory() as folder:
        keeping = Keeping(SpoolSettings(folder=Path(folder)))
        keeping.hear(HANDSHAKE[:9])
        keeping.hear(HANDSHAKE[9:])
        keeping.begin()
        for number, part in enumerate(parts):
            keeping.hear(memoryview(bytearray(part)))
            if number in slices:
                keeping.slice_ended()
                assert stream(keeping) == HANDSHAKE + b"".join(parts[: number + 1])  # at once
        keeping.end()
        assert stream(keeping) == HANDSHAKE + b"".join(parts)
        record = read_record(keeping._spool.path)
        assert (record.state, record.bytes, record.stopped) == ("done", len(stream(keeping)), "")


def test_a_buffer_that_is_used_again_does_not_change_what_was_heard(keep):
    keeping, buffer = keep(), bytearray(b"first")
    keeping.hear(memoryview(buffer))
    buffer[:] = b"other"
    keeping.end()
    assert stream(keeping) == HANDSHAKE + b"first"


def test_synced_by_slices_never_by_readouts(keep, monkeypatch):
    monkeypatch.setattr(writer, "REST", 0.0)
    monkeypatch.setattr(writer, "PIECE_BYTES", 1000)
    keeping = keep()
    for _ in range(200):
        keeping.hear(READOUT)
    assert keeping._spool.syncs == 0
    for number in range(1, 4):
        keeping.slice_ended()
        assert keeping._spool.syncs <= number
    keeping.end()
    assert 2 <= keeping._spool.syncs <= 4


def test_a_slow_disk_is_synced_less_often(keep, monkeypatch):
    """The pause after a sync is twenty times its length: marks in between are one sync, at the end."""
    clock = [100.0]
    monkeypatch.setattr(writer.time, "monotonic", lambda: clock[0])

    def slow(descriptor: int) -> None:
        clock[0] += 1.0

    monkeypatch.setattr(writer, "synchronise", slow)
    keeping = keep()
    for _ in range(50):
        keeping.hear(READOUT)
        keeping.slice_ended()
        clock[0] += 0.01
    keeping.end()
    assert keeping._spool.syncs <= 2 and not keeping.trouble


def test_nobody_else_can_read_it_and_no_name_tells_of_the_scan(keep, caplog):
    mark = b"Mustermann^Max"
    keeping = keep(mark + READOUT, "done")
    keeping_settings = load_pipeline()
    again = Keeping(keeping._settings)
    again.hear(HANDSHAKE + mark)
    again.settled(keeping_settings, print)
    again.end()
    folder = keeping._spool.path.parent
    for path in [folder, *folder.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
        if path.name != STREAM and path.is_file():
            assert mark not in path.read_bytes(), path
        assert "Muster" not in path.name
    assert "Muster" not in caplog.text


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


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    keeping = Keeping()
    keeping.hear(HANDSHAKE)
    keeping.begin()
    keeping.settled(load_pipeline(), print)
    keeping.hear(READOUT)
    assert keeping.name == keeping.footnote() == "" and not keeping._before
    keeping.end()


def test_the_environment_wins_over_the_pipeline(tmp_path, monkeypatch):
    assert from_environment() is None
    monkeypatch.setenv("SMUG_RECON_SPOOL", "")
    keeping = Keeping(from_environment())
    keeping.hear(HANDSHAKE)
    keeping.begin()
    keeping.settled(load_pipeline().with_overrides({"spool.folder": str(tmp_path)}), print)
    assert keeping.name == ""
    monkeypatch.setenv("SMUG_RECON_SPOOL", str(tmp_path))
    monkeypatch.setenv("SMUG_RECON_SPOOL_GIGABYTES", "3")
    assert (from_environment().folder, from_environment().gigabytes) == (tmp_path, 3.0)
    for name, value in (("SMUG_RECON_SPOOL", "relative"), ("SMUG_RECON_SPOOL_DAYS", "-1")):
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigurationError, match="SMUG_RECON_SPOOL"):
            from_environment()
        monkeypatch.setenv("SMUG_RECON_SPOOL", str(tmp_path))


def test_the_pipeline_names_a_folder(tmp_path):
    keeping, said = Keeping(), []
    keeping.hear(HANDSHAKE)
    keeping.begin()
    keeping.settled(load_pipeline().with_overrides({"spool.folder": str(tmp_path), "seed": 7}), said.append)
    keeping.hear(READOUT)
    keeping.end()
    spool = tmp_path / keeping.name
    assert is_spool(spool) and stream(keeping) == HANDSHAKE + READOUT
    settings = load_pipeline(spool / "pipeline.yaml")
    assert settings.seed == 7 and settings.spool.folder is None
    assert settings.sha256 == load_pipeline().with_overrides({"seed": 7}).sha256


def test_what_is_no_scan_leaves_no_spool(settings):
    """A port scan, HTTP, a handshake that breaks off: nothing to reconstruct, nothing on disk."""
    for heard in (b"", b"GET / HTTP/1.1\r\n\r\n", HANDSHAKE[:-1], b"\2\0\xff\xff\xff\xff", b"\0" * 5000):
        keeping = Keeping(settings())
        keeping.hear(heard)
        assert keeping.footnote() == ""
        keeping.hear(b"x" * (20 << 20))  # what comes while the error is told takes no memory
        assert not keeping._before
        keeping.end("failed")
    assert not SpoolFolder(settings()).spools()


def test_a_session_that_is_refused_after_its_header_keeps_what_follows(settings):
    keeping = Keeping(settings())
    keeping.hear(HANDSHAKE + READOUT[:10])
    told = keeping.footnote()
    assert keeping.name and keeping.name in told
    keeping.hear(READOUT[10:])
    keeping.end("failed", "ConfigurationError: no such name")
    assert stream(keeping) == HANDSHAKE + READOUT
    assert read_record(keeping._spool.path).state == "failed"


@pytest.mark.parametrize(
    ("folder", "code", "said"),
    [("spools", 0, "at most 50 GB, 7 days"), ("file/spools", 2, "the spool folder")],
)
def test_check_says_where_raw_data_are_kept_and_that_it_can_be_written(
    folder, code, said, tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").write_text("no folder")
    words = ["smug-recon", "check", "--device", "cpu", "--set", f"spool.folder={tmp_path / folder}"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as left:
        main()
    printed = capsys.readouterr()
    assert (left.value.code or 0) == code and said in printed.out + printed.err


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
