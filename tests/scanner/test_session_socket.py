"""The socket of a session: what counts as silence, what a halt leaves in step, how an image is sent in ticks."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any

import pytest
from reading_on import LONG_S, PATIENT

from smug_recon.errors import StreamError
from smug_recon.gadgets.wire.protocol import Limits
from smug_recon.gadgets.wire.sending import SendingSocket
from smug_recon.scanner import session_socket
from smug_recon.scanner.session_socket import SessionSocket


def test_silence_is_counted_from_the_last_moment_of_work_and_never_excused_within_a_message(
    monkeypatch: Any,
) -> None:
    now = [0.0]
    monkeypatch.setattr(session_socket.time, "monotonic", lambda: now[0])
    near, far = socket.socketpair()
    with near, far:
        held = SessionSocket(near, Limits(stall_seconds=5.0), 10.0, threading.Event())
        held.at_work = lambda: True
        now[0] = 100.0
        held._check_silence()
        held.at_work = lambda: False
        now[0] = 109.0
        held._check_silence()
        now[0] = 111.0
        with pytest.raises(StreamError, match="silence for 10 s between two messages"):
            held._check_silence()
        held.at_work, held._taken = lambda: True, 1
        with pytest.raises(StreamError, match="silence for 5 s at byte 1"):
            held._check_silence()


def test_a_reader_that_is_halted_within_a_message_may_end_it_in_a_moment(monkeypatch: Any) -> None:
    """Then the stream is still in step and can be read to its end; a host that trickles is not waited for."""
    now = [0.0]
    monkeypatch.setattr(session_socket.time, "monotonic", lambda: now[0])
    near, far = socket.socketpair()
    with near, far:
        held = SessionSocket(near, PATIENT, 10.0, threading.Event())
        far.sendall(struct.pack("<H", 1008))
        assert held.begin_message() == 1008
        held.halt(True)
        far.sendall(b"12")
        assert held.read(2) == b"12"
        now[0] = 2 * session_socket.FINISH_S
        far.sendall(b"34")
        with pytest.raises(StreamError, match="halted"):
            held.read(2)
        held.halt(False)
        assert held.read(2) == b"34"
        held.end_message()
        held.halt(True)
        far.sendall(struct.pack("<H", 1008))
        with pytest.raises(StreamError, match="halted"):
            held.begin_message()
        assert held.in_step


def test_a_large_image_is_taken_slowly_and_ticks_do_not_cut_it(monkeypatch: Any) -> None:
    """Sending ticks as reading does; only a host that takes no byte for the stall time is given up."""
    monkeypatch.setattr(session_socket, "TICK_S", 0.01)
    near, far = socket.socketpair()
    with near, far:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        held = SessionSocket(near, Limits(stall_seconds=1000.0), 10.0, threading.Event())
        timeouts, usual = [], SendingSocket._send_once

        def noted(self: Any, parts: Any) -> int:
            try:
                return usual(self, parts)
            except TimeoutError:
                timeouts.append(len(parts))
                taking.set()
                raise

        monkeypatch.setattr(SendingSocket, "_send_once", noted)
        taking, found = threading.Event(), bytearray()

        def take() -> None:
            assert taking.wait(LONG_S)
            while len(found) < 1 << 20:
                found.extend(far.recv(1 << 16))

        taker = threading.Thread(target=take)
        taker.start()
        held.write(bytes(1 << 20))
        held.flush()
        taker.join(LONG_S)
        assert timeouts and len(found) == 1 << 20 and near.gettimeout() == session_socket.TICK_S
        held.hurry()
        monkeypatch.setattr(session_socket, "QUICK_S", 0.05)
        held.write(bytes(1 << 22))
        with pytest.raises(StreamError, match=r"took no byte for 0\.05 s"):
            held.flush()
        assert held.half_sent
