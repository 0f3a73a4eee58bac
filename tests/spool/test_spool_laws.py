"""What is heard is on disk, byte for byte, synced by slices; nobody else can read it."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spool_bytes import HANDSHAKE, READOUT, stream

from smug_recon.pipeline import SpoolSettings, load_pipeline
from smug_recon.spool import Keeping, SpoolFolder, writer
from smug_recon.spool.record import STREAM, read_record


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
