"""A host that dies, or lies about lengths, kinds and its handshake, is an error at once that it hears of."""

from __future__ import annotations

import itertools
import struct

import ismrmrd
import parent
import pytest
import targets
from gadgetron.external import Connection
from tiny_session import SESSION, WIRE, run_cut

from smug_recon.errors import StreamError
from smug_recon.gadgets.wire.listen import GuardedHandshake


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
