"""A host that dies, lies or stalls is an error at once, it hears of every error, and nothing ever hangs."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time
from dataclasses import replace

import ismrmrd
import numpy as np
import parent
import pytest
import targets
from gadgetron.external import Connection

from smug_recon.errors import DataError, HeaderError, StreamError
from smug_recon.gadgets.wire.connection import session
from smug_recon.gadgets.wire.listen import GuardedHandshake
from smug_recon.gadgets.wire.sockets import GuardedSocket

TINY = [
    parent.acquisition(0, 1, 2, 1),
    parent.waveform(1),
    ismrmrd.Image(data=np.arange(2, dtype=np.uint16).reshape(1, 1, 1, 2), meta=ismrmrd.Meta({"a": "b"})),
]
WIRE = [parent.packed(item) for item in TINY]
SESSION = b"".join(WIRE)


def run_cut(kind, data: bytes, target=targets.pass_on) -> tuple[BaseException | None, parent.Answer]:
    """Send ``data``, end the stream, run the node in this very thread (the socket buffers suffice)."""
    host, far = socket.socketpair()
    error = None
    with host:
        host.sendall(data)
        host.shutdown(socket.SHUT_WR)
        try:
            with kind(far) as connection:
                target(connection)
        except (StreamError, HeaderError) as caught:
            error = caught
        return error, parent.read_answer(host)


@pytest.fixture
def known_header(monkeypatch):
    """Parse the MRD header once, for tests that open hundreds of connections."""
    header = ismrmrd.xsd.CreateFromDocument(parent.HEADER_XML)
    monkeypatch.setattr(ismrmrd.xsd, "CreateFromDocument", lambda document: header)


def test_a_stream_cut_at_any_byte_is_an_error_that_the_host_hears(known_header):
    opening = parent.handshake()
    ends = list(itertools.accumulate(len(message) for message in WIRE))
    for cut in range(len(SESSION) + 1):
        error, answer = run_cut(Connection, opening + SESSION[:cut])
        assert isinstance(error, StreamError), cut
        assert "the end of the stream at byte" in answer.error and "look into its log" in answer.error
        assert answer.ending == "end of stream"
        assert answer.raw == WIRE[: sum(end <= cut for end in ends)], cut
    error, answer = run_cut(Connection, opening + SESSION + parent.CLOSE)
    assert (error, answer.error, answer.ending, answer.raw) == (None, None, "close", WIRE)


def test_a_handshake_cut_at_any_byte_is_an_error(known_header):
    def open_connection(far):
        return GuardedHandshake(far, targets.PATIENT)

    opening = parent.handshake()
    for cut in range(len(opening)):
        error, answer = run_cut(open_connection, opening[:cut])
        assert isinstance(error, StreamError) and "the end of the stream" in answer.error, cut
        assert answer.ending == "end of stream"
    assert run_cut(open_connection, opening + parent.CLOSE)[1].ending == "close"


def test_a_host_that_vanishes_altogether_is_an_error():
    for data in (b"", SESSION, SESSION[:-1]):
        node = parent.Node(targets.pass_on)
        node.host.sendall(parent.handshake() + data)
        node.host.close()
        node.finish()
        assert isinstance(node.error, StreamError)


@pytest.mark.parametrize("identifier", [0, 1, 2, 3, 6, 7, 999, 1009, 1012, 1030, 65535])
def test_an_unknown_message_is_never_a_silent_end(identifier):
    stream = parent.handshake() + WIRE[0] + parent.message(identifier, b"?" * 50) + WIRE[1] + parent.CLOSE
    error, answer = run_cut(Connection, stream)
    assert f"message identifier {identifier} " in str(error) and str(error) in answer.error
    assert answer.raw == WIRE[:1] and answer.ending == "end of stream"


def liar(kind: str) -> bytes:
    """A message whose length fields claim far more than any machine holds."""
    big = struct.pack("<Q", 1 << 62)
    line = ismrmrd.AcquisitionHeader(number_of_samples=65535, active_channels=65535)
    picture = ismrmrd.ImageHeader(data_type=8, channels=65535)
    picture.matrix_size[:] = [65535, 65535, 65535]
    wave = ismrmrd.WaveformHeader(number_of_samples=65535, channels=65535)
    trajectory = ismrmrd.AcquisitionHeader(number_of_samples=65535, trajectory_dimensions=65535)
    return {
        "samples": parent.message(1008, bytes(line)),
        "trajectory": parent.message(1008, bytes(trajectory)),
        "pixels": parent.message(1022, bytes(picture) + bytes(8)),
        "attributes": parent.message(1022, bytes(ismrmrd.ImageHeader(data_type=1)) + big),
        "waveform": parent.message(1026, bytes(wave)),
        "error": parent.message(8, big),
        "text": parent.message(5, b"\xff\xff\xff\xff"),
        "dimensions": parent.message(1024, big),
        "array": parent.message(1024, struct.pack("<4Q", 3, 1 << 40, 1 << 40, 1 << 40)),
        "empty axis": parent.message(1024, struct.pack("<4Q", 3, 0, 1 << 62, 1 << 62)),
        "recon data": parent.message(1023, struct.pack("<4Q", 1 << 60, 2, 1 << 31, 1 << 31)),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        *["samples", "trajectory", "pixels", "attributes", "waveform", "error", "text", "dimensions"],
        *["array", "empty axis", "recon data"],
    ],
)
def test_a_giant_length_is_refused_before_anything_is_allocated(kind):
    error, answer = run_cut(Connection, parent.handshake() + WIRE[1] + liar(kind) + bytes(1000))
    assert isinstance(error, StreamError) and str(error) in answer.error
    assert "the end of the stream" not in answer.error  # refused for what it claims, not for what is missing
    assert answer.raw == WIRE[1:2]


@pytest.mark.parametrize("data_type", [0, 4, 9, 65535])
def test_an_image_of_unknown_pixels_is_refused(data_type):
    header = bytes(ismrmrd.ImageHeader(data_type=data_type, channels=1))
    error, _ = run_cut(Connection, parent.handshake() + parent.message(1022, header + bytes(8)))
    assert f"MRD data type {data_type};" in str(error)


def test_an_error_of_the_host_ends_the_session_with_its_text():
    stream = parent.handshake() + WIRE[0] + parent.message(8, b"gradient fault", "Q") + parent.CLOSE
    error, answer = run_cut(Connection, stream)
    assert isinstance(error, StreamError) and "an error of the host: gradient fault" in answer.error


def test_a_handshake_of_something_else_is_an_error():
    def open_connection(far):
        return GuardedHandshake(far, targets.PATIENT)

    for opening, expected in (
        (b"GET / HTTP/1.0\r\n\r\n", "message identifier 17735 in the handshake"),
        (parent.message(3, parent.HEADER_XML, "I"), "message identifier 3 in the handshake"),
        (parent.handshake(header=b"<ismrmrdHeader>"), "an MRD header that cannot be parsed"),
        (parent.handshake(config=b"not XML") + parent.CLOSE, "a configuration that is no XML"),
        (parent.handshake(config=b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), "entities"),
        (parent.handshake(header=b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), "entities"),
        (parent.message(2, b"", "I")[:2] + b"\xff" * 4, "a configuration of 4294967295 bytes"),
        (parent.handshake(config=b'<?xml version="1.0"?>') + parent.CLOSE, None),  # Gadgetron's word for none
    ):
        error, answer = run_cut(open_connection, opening)
        assert (error is None) == (expected is None)
        assert expected is None or expected in answer.error


@pytest.mark.parametrize("lie", [b"", parent.message(777)], ids=["in step", "after an unknown message"])
def test_an_exception_reaches_a_host_that_reads_only_after_a_long_scan(lie):
    node = parent.Node(lambda c: targets.stumble(c, replace(targets.PATIENT, drain_idle_seconds=2.0)))
    line = parent.packed(parent.acquisition(0, 32, 512))
    node.host.settimeout(30)
    node.host.sendall(parent.handshake() + lie)
    for _ in range(400):  # 52 MB, many times what the socket buffers hold
        node.host.sendall(line)
    node.host.sendall(parent.CLOSE)
    answer = parent.read_answer(node.host)
    node.host.close()
    node.finish()
    assert answer.error == f"smug-recon: {node.error}"
    assert answer.ending == "end of stream"


def test_any_exception_is_told_with_its_type_and_at_any_length():
    for error in (ValueError("ü" * 3_000_000), KeyboardInterrupt(), SystemExit(3), MemoryError("\ud800")):

        def target(connection, error=error):
            with session(connection, targets.PATIENT) as host:
                next(iter(host))
                raise error

        node = parent.Node(target)
        answer = node.talk(parent.handshake() + SESSION + parent.CLOSE)
        assert node.error is error
        assert answer.error.startswith(f"smug-recon: {type(error).__name__}: ")
        assert len(answer.error.encode()) <= targets.PATIENT.text_bytes


def test_an_exception_after_the_last_item_is_no_success():
    def target(connection):
        with session(connection, targets.PATIENT) as host:
            list(host)
            raise RuntimeError("the last slice failed")

    answer = parent.Node(target).talk(parent.handshake() + SESSION + parent.CLOSE, half_close=False)
    assert "the last slice failed" in answer.error and answer.ending == "end of stream"


def test_a_chain_that_stops_reading_is_no_success():
    def target(connection):
        with session(connection, targets.PATIENT) as host:
            next(iter(host))

    answer = parent.Node(target).talk(parent.handshake() + SESSION + parent.CLOSE)
    assert "a chain that ended before the host did" in answer.error


def test_a_guard_without_a_session_never_reports_success():
    from smug_recon.gadgets.wire.connection import guard

    answer = parent.Node(lambda connection: list(guard(connection, targets.PATIENT))).talk(
        parent.handshake() + SESSION + parent.CLOSE
    )
    assert "before it was finished" in answer.error and answer.ending == "end of stream"


def test_a_message_that_fails_while_it_is_built_leaves_no_trace():
    class Broken(ismrmrd.Image):
        @property
        def attribute_string(self):
            raise RuntimeError("no attributes")

    broken = Broken(data=np.zeros((1, 1, 2, 2), np.float32))

    def target(connection):
        with session(connection, targets.PATIENT) as host:
            host.send(TINY[2])
            try:
                host.send(broken)
            except RuntimeError:
                host.send(TINY[2])
            list(host)

    answer = parent.Node(target).talk(parent.handshake() + parent.CLOSE)
    assert answer.raw == [WIRE[2]] * 2 and answer.ending == "close"


def test_a_stall_inside_a_message_is_an_error_and_a_pause_between_two_is_not():
    node = parent.Node(targets.pass_on_hastily)
    node.host.sendall(parent.handshake() + WIRE[0])
    time.sleep(1.5 * targets.HASTY.stall_seconds)  # a pause: the scanner may take its time
    node.host.sendall(WIRE[1])
    for byte in WIRE[2][:8]:  # slow, yet never silent for the stall time
        node.host.sendall(bytes([byte]))
        time.sleep(targets.HASTY.stall_seconds / 8)
    start = time.monotonic()
    answer = parent.read_answer(node.host)  # and now silence
    node.finish()
    node.host.close()
    assert answer.raw == WIRE[:2] and "silence for 0.6 s at byte 8 of image (after" in answer.error.replace(
        "the image", "image"
    )
    assert time.monotonic() - start < 5


def test_a_stall_inside_a_message_identifier_is_an_error():
    node = parent.Node(targets.pass_on_hastily)
    node.host.sendall(parent.handshake() + b"\x04")
    answer = parent.read_answer(node.host)
    node.finish()
    node.host.close()
    assert "silence for 0.6 s at byte 1 of" in answer.error


def test_a_host_that_stops_reading_ends_the_session():
    large = parent.packed(ismrmrd.Image(data=np.zeros((1, 1, 1024, 1024), np.float32)))
    node = parent.Node(targets.pass_on_hastily)
    sender = threading.Thread(target=node.host.sendall, args=(parent.handshake() + large + parent.CLOSE,))
    sender.start()
    start = time.monotonic()
    node.finish()
    sender.join()
    assert time.monotonic() - start < 5 and "took no byte for 0.6 s" in str(node.error)
    answer = parent.read_answer(node.host)
    node.host.close()
    assert answer.ending == "cut" and answer.error is None  # a broken image must not be followed by anything


def test_nothing_follows_a_message_that_broke_off():
    host, far = socket.socketpair()
    with host, far:
        wire = GuardedSocket(far, targets.HASTY)
        wire.write(bytes(4 << 20))
        with pytest.raises(StreamError, match="took no byte"):
            wire.flush()
        host.settimeout(0.1)
        with pytest.raises(TimeoutError):
            while host.recv(1 << 20):
                pass
        wire.fail("this would be read as pixels")
        with pytest.raises(TimeoutError):
            host.recv(1)


def test_a_host_that_never_stops_sending_cannot_hold_a_failed_node():
    node = parent.Node(lambda c: targets.stumble(c, replace(targets.HASTY, drain_seconds=1.0)))
    line, stop = parent.packed(parent.acquisition()), threading.Event()

    def flood():
        try:
            node.host.sendall(parent.handshake())
            while not stop.is_set():
                node.host.sendall(line)
        except OSError:
            pass

    sender = threading.Thread(target=flood)
    sender.start()
    node.finish(10)
    stop.set()
    sender.join(10)
    node.host.close()
    assert isinstance(node.error, DataError) and not sender.is_alive()


def test_a_host_that_falls_silent_cannot_hold_a_failed_node():
    node = parent.Node(lambda connection: targets.stumble(connection, targets.HASTY))
    node.host.sendall(parent.handshake() + WIRE[0])
    answer = parent.read_answer(node.host)
    node.finish(10)
    node.host.close()
    assert "no calibration lines" in answer.error and answer.ending == "end of stream"


def test_bytes_after_the_close_message_do_not_lose_our_images():
    image = parent.packed(ismrmrd.Image(data=np.zeros((1, 1, 100, 100), np.float32)))

    def target(connection):
        with session(connection, targets.PATIENT) as host:
            items = list(host)
            time.sleep(0.2)  # the surplus bytes are in the socket by now
            for item in items:
                host.send(item)

    answer = parent.Node(target).talk(parent.handshake() + image * 3 + parent.CLOSE + bytes(50_000))
    assert answer.raw == [image] * 3 and answer.ending == "close"
