"""A wait for a pipe, or for the process that reads HDF5, can be ended by another thread and begun again."""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import ismrmrd
import pytest

from smug_recon.errors import DataError, StreamError
from smug_recon.replay.reading.haltable import HaltablePipe, haltable
from smug_recon.replay.reading.raw import open_raw

sys.path.insert(0, str(Path(__file__).parents[2] / "gadgets"))
from small_scan import SmallScan, header_xml

LONG_S = 40


def test_a_wait_for_a_pipe_can_be_ended_and_begun_again() -> None:
    read, write = os.pipe()
    pipe, failed, begun = HaltablePipe(os.fdopen(read, "rb")), [], threading.Event()

    def wait() -> None:
        begun.set()
        try:
            pipe.read(1)
        except StreamError as error:
            failed.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert begun.wait(LONG_S)
    pipe.halt(True)
    thread.join(LONG_S)
    assert not thread.is_alive() and "halted" in str(failed[0])
    os.write(write, b"12")
    with pytest.raises(StreamError, match="halted"):  # bytes or none
        pipe.read(1)
    for _ in range(70_000):  # more than a pipe holds
        pipe.halt(True)
    pipe.halt(False)
    pipe.halt(False)
    assert pipe.read(2) == b"12"
    os.close(write)
    assert pipe.read(2) == b""
    pipe.close()
    pipe.close()
    assert pipe.closed


def test_a_file_is_read_as_it_is_and_what_has_no_descriptor_cannot_be_halted() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(bytes(range(256)) * 1000)
        file.seek(0)
        with HaltablePipe(os.fdopen(os.dup(file.fileno()), "rb")) as pipe:
            assert io.BufferedReader(pipe).read() == bytes(range(256)) * 1000
    assert haltable(io.BytesIO(b"")) is None


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="stops a process")
def test_a_wait_for_hdf5_can_be_ended(tmp_path: Path) -> None:
    """The process that reads is stopped, as if its disk did not answer."""
    path, scan = tmp_path / "raw.h5", SmallScan()
    scan.add_slice(0)
    dataset = ismrmrd.Dataset(path, "dataset", create_if_needed=True)
    dataset.write_xml_header(header_xml().encode())
    for readout in scan.readouts:
        dataset.append_acquisition(readout)
    dataset.close()
    failed, waits = [], threading.Event()
    with open_raw(path) as raw:
        usual = raw._child._patient._poll  # type: ignore[attr-defined]

        class Noted:
            def poll(self, milliseconds: int) -> Any:
                waits.set()
                return usual.poll(milliseconds)

        raw._child._patient._poll = Noted()  # type: ignore[attr-defined]
        os.kill(raw._child._process.pid, signal.SIGSTOP)  # type: ignore[attr-defined]

        def wait() -> None:
            try:
                list(raw.items())
            except DataError as error:
                failed.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        assert waits.wait(LONG_S) and raw.halt is not None
        raw.halt(True)
        thread.join(LONG_S)
        assert not thread.is_alive() and "raw.h5 that was halted" in str(failed[0])
