"""Which spools go, in what order, and that two processes agree on it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone

import pytest

from smug_recon.spool import SpoolFolder
from smug_recon.spool import folder as folder_module
from smug_recon.spool.record import RECORD, STREAM, reading

CONTENT = bytes(1000)
ROOM = 5000e-9
"""Gigabytes for four spools of 1028 bytes."""


def ended(keeping, days_ago: float) -> None:
    path = keeping._spool.path / RECORD
    record = json.loads(path.read_text())
    record["ended"] = (datetime.now(timezone.utc) - timedelta(days=days_ago)).isoformat()
    path.write_text(json.dumps(record))


@pytest.fixture(autouse=True)
def names_in_order(monkeypatch):
    """Spools of one second are told apart by chance; here by their number."""
    numbers = iter(range(1, 1000))
    monkeypatch.setattr(
        "smug_recon.spool.writer.new_name", lambda: f"20261121-120000-{next(numbers):06x}", raising=True
    )


def there(keeping) -> bool:
    return (keeping._spool.path / STREAM).is_file()


def test_the_oldest_that_went_well_make_room_failed_ones_never(keep):
    failed = keep(CONTENT, "failed", gigabytes=ROOM)
    first, second = keep(CONTENT, "done", gigabytes=ROOM), keep(CONTENT, "fallback", gigabytes=ROOM)
    third = keep(CONTENT, "done", gigabytes=ROOM)
    assert all(map(there, (failed, first, second, third)))
    fourth = keep(CONTENT, "done", gigabytes=ROOM)
    assert [there(spool) for spool in (failed, first, second, third, fourth)] == [
        True,
        False,
        True,
        True,
        True,
    ]
    fifth = keep(CONTENT, "done", gigabytes=ROOM)
    assert [there(spool) for spool in (failed, second, third, fourth, fifth)] == [
        True,
        False,
        True,
        True,
        True,
    ]


def test_a_folder_full_of_failed_sessions_ends_the_spool_and_says_so(keep):
    kept = [keep(CONTENT, "failed", gigabytes=ROOM) for _ in range(4)]
    late = keep(CONTENT, gigabytes=ROOM)
    late.slice_ended()
    assert "failed sessions stay until" in late.trouble and late.written < 1000
    late.end("done")
    assert all(map(there, kept))


def test_what_runs_is_counted_and_left_alone(keep):
    running = keep(CONTENT, gigabytes=ROOM)
    running.slice_ended()
    for _ in range(6):
        keep(CONTENT, "done", gigabytes=ROOM)
    assert there(running)
    folder = SpoolFolder(running._settings)
    assert sum(kept.bytes for kept in folder.spools()) <= 5000
    running.hear(CONTENT)
    running.end()
    assert not running.trouble and len((running._spool.path / STREAM).read_bytes()) == 2028


def test_a_spool_that_is_being_replayed_is_left_alone(keep):
    old = keep(CONTENT, "done", gigabytes=ROOM)
    with reading(old._spool.path) as over:
        assert over
        for _ in range(6):
            keep(CONTENT, "done", gigabytes=ROOM)
        assert there(old)
    keep(CONTENT, "done", gigabytes=ROOM)
    assert not there(old)


def test_age_counts_from_the_end_and_for_those_that_went_well(keep):
    old, young, failed = keep(CONTENT, "done"), keep(CONTENT, "done"), keep(CONTENT, "failed")
    empty = keep(b"", "failed")  # a session without a readout has nothing to stay for
    running = keep(CONTENT)
    running.slice_ended()
    for spool, days in ((old, 7.1), (young, 6.9), (failed, 400), (empty, 8)):
        ended(spool, days)
    assert SpoolFolder(old._settings).tidy() == 2
    assert [there(spool) for spool in (old, young, failed, empty, running)] == [
        False,
        True,
        True,
        False,
        True,
    ]
    running.end()


def test_with_zero_days_a_spool_goes_when_its_session_went_well(keep):
    assert not there(keep(CONTENT, "done", days=0))
    assert there(keep(CONTENT, "failed", days=0))


def test_a_session_that_was_killed_counts_as_failed(keep):
    """Its record says running, but nobody holds its lock."""
    killed = keep(CONTENT, "done")
    path = killed._spool.path / RECORD
    path.write_text(path.read_text().replace('"done"', '"running"'))
    folder = SpoolFolder(killed._settings)
    ended(killed, 100)
    assert folder.tidy() == 0 and not folder.make_room() and there(killed)
    path.write_text("{ broken")
    assert folder.tidy() == 0 and not folder.make_room() and there(killed)


def test_what_is_no_spool_is_never_touched(keep, settings, tmp_path):
    spool = keep(CONTENT, "done")
    root, outside = spool._spool.path.parent, tmp_path / "outside"
    for name in ("notes", "2026"):
        (root / name).mkdir()
        (root / name / STREAM).write_bytes(CONTENT)
    outside.mkdir()
    for name in (RECORD, STREAM, "owner"):
        (outside / name).write_bytes((spool._spool.path / name).read_bytes())
    (root / "20200101-000000-abcdef").symlink_to(outside)
    folder = SpoolFolder(settings(days=0))
    assert folder.tidy() == 1 and not folder.make_room()
    assert (root / "notes" / STREAM).is_file() and (root / "2026").is_dir() and (outside / STREAM).is_file()


def test_a_removal_that_was_broken_off_is_finished(keep, settings):
    spool = keep(CONTENT, "done")
    half = spool._spool.path.with_name(f".removed-{spool.name}")
    spool._spool.path.rename(half)
    SpoolFolder(settings()).tidy()
    assert not half.exists()


def test_empty_sessions_without_end_do_not_fill_the_folder(keep, monkeypatch):
    monkeypatch.setattr(folder_module, "MOST_OVER", 3)
    for _ in range(8):
        keep(b"", "failed")
    assert len(SpoolFolder(keep(b"", "failed")._settings).spools()) <= 4


def test_two_processes_share_a_folder(tmp_path):
    """Each writes sessions of 100 kB into 600 kB: together they stay within the bound, and each session is whole."""
    script = """
import sys
from pathlib import Path
from smug_recon.pipeline import SpoolSettings
from smug_recon.spool import Keeping, SpoolFolder
settings = SpoolSettings(folder=Path(sys.argv[1]), gigabytes=600e-6)
handshake = b"\\2\\0\\1\\0\\0\\0a\\3\\0\\1\\0\\0\\0b"
for number in range(8):
    keeping = Keeping(settings)
    keeping.hear(handshake)
    keeping.begin()
    keeping.hear(sys.argv[2].encode() * 100_000)
    keeping.slice_ended()
    total = sum(kept.bytes for kept in SpoolFolder(settings).spools())
    assert total <= 600_000, total
    stream = (keeping._spool.path / "stream.mrd").read_bytes()
    assert stream == handshake + sys.argv[2].encode() * 100_000 and not keeping.trouble, keeping.trouble
    keeping.end()
"""
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "spools"), letter],
            stderr=subprocess.PIPE,
            text=True,
        )
        for letter in "ab"
    ]
    for process in both:
        said = process.communicate(timeout=120)[1]
        assert process.returncode == 0, said


def test_one_process_at_a_time_counts_and_removes(keep, settings):
    """The lock is of the open file: two in one process exclude each other as two processes do."""
    spool = keep(CONTENT, "done")
    folder, counted = SpoolFolder(settings()), []
    counter = threading.Thread(target=lambda: counted.append(folder.reserve(spool.name, 5)), daemon=True)
    with SpoolFolder(settings()).locked():
        counter.start()
        counter.join(0.5)
        assert not counted
    counter.join(30)
    assert counted == [True]


def test_a_lock_that_is_never_given_back_costs_the_spool_and_not_the_scan(keep, settings, monkeypatch):
    monkeypatch.setattr(folder_module, "LOCK_S", 0.1)
    with SpoolFolder(settings()).locked():
        late = keep(CONTENT)
        late.slice_ended()
        assert "held by another process" in late.trouble
        late.end()
