"""What is not ours passes through a guarded connection in order, byte for byte."""

from __future__ import annotations

import ismrmrd
import numpy as np
import parent
import pytest
import targets
from gadgetron.types import acquisition_bucket as buckets
from hypothesis import given, settings
from hypothesis import strategies as st

from smug_recon.errors import ConfigurationError, StreamError
from smug_recon.gadgets.wire.connection import guard, session
from smug_recon.gadgets.wire.protocol import Limits


def chopped(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


ITEMS = st.one_of(
    st.builds(
        parent.acquisition, st.integers(0, 99), st.integers(0, 4), st.integers(0, 40), st.integers(0, 3)
    ),
    st.builds(parent.waveform, st.integers(0, 99)),
    st.builds(
        parent.image,
        st.integers(0, 9),
        st.sampled_from(["uint16", "uint32", "float32", "float64", "complex64", "complex128"]),
    ),
)


@settings(max_examples=40, deadline=None)
@given(items=st.lists(ITEMS, max_size=8), size=st.sampled_from([1, 3, 97, 4096, 1 << 20]))
def test_every_item_comes_back_unchanged_and_in_order(items, size):
    wire = [parent.packed(item) for item in items]
    answer = parent.Node(targets.pass_on).talk(
        chopped(parent.handshake() + b"".join(wire) + parent.CLOSE, size)
    )
    assert (answer.ending, answer.error) == ("close", None)
    assert answer.raw == wire


def test_items_keep_their_types_and_values():
    sent = [parent.acquisition(5, 3, 20, 2), parent.waveform(7), parent.image(2, np.uint16)]
    received = []

    def keep(connection):
        with session(connection, targets.PATIENT) as host:
            received.append((host.header.encoding[0].encodedSpace.matrixSize.x, host.config.tag))
            received.extend(host)

    answer = parent.Node(keep).talk(parent.handshake() + b"".join(map(parent.packed, sent)) + parent.CLOSE)
    assert answer.ending == "close"
    assert received[0] == (16, "configuration")
    assert received[1:3] == sent[:2]
    assert received[1].data.flags.writeable and received[1].data.dtype == np.complex64
    assert np.array_equal(received[3].data, sent[2].data) and received[3].meta["Name"] == "Große Probe"


def test_a_large_readout_crosses_several_receives():
    large = parent.packed(parent.acquisition(1, 128, 4096))
    answer = parent.Node(targets.pass_on).talk(parent.handshake() + large * 2 + parent.CLOSE)
    assert answer.raw == [large, large]


def test_text_is_read_and_not_passed_on(caplog):
    caplog.set_level("INFO")
    data = (
        parent.packed(parent.waveform())
        + parent.message(5, b"Name^Patient\0", "I")
        + parent.packed(parent.waveform(1))
    )
    answer = parent.Node(targets.pass_on).talk(parent.handshake() + data + parent.CLOSE)
    assert [item.waveform_id for item in answer.items] == [0, 1]
    assert "a text of 13 characters" in caplog.text and "Patient" not in caplog.text


@pytest.mark.parametrize("dtype", ["int16", "int64"])
def test_pixels_that_break_gadgetron_are_refused_before_a_byte_is_sent(dtype):
    def target(connection):
        with session(connection, targets.PATIENT) as host:
            host.send(parent.waveform(1))
            host.send(parent.image(0, dtype))

    node = parent.Node(target)
    answer = node.talk(parent.handshake() + parent.CLOSE)
    assert len(answer.items) == 1 and f"an image of {dtype} pixels" in answer.error
    assert "images.type" in answer.error and isinstance(node.error, StreamError)


@pytest.mark.parametrize("item", ["text", None, np.zeros(3), buckets.AcquisitionBucket([], [], [], [], [])])
def test_what_a_host_cannot_read_is_refused(item):
    def target(connection):
        with session(connection, targets.PATIENT) as host:
            host.send(item)

    answer = parent.Node(target).talk(parent.handshake() + parent.CLOSE)
    assert type(item).__name__ in answer.error and answer.items == []


def test_filters_of_the_stock_connection_still_work():
    def target(connection):
        connection.filter(ismrmrd.Acquisition)
        with session(connection, targets.PATIENT) as host:
            assert all(isinstance(item, ismrmrd.Acquisition) for item in host)

    wire = [parent.packed(item) for item in (parent.waveform(1), parent.acquisition(), parent.image())]
    answer = parent.Node(target).talk(parent.handshake() + b"".join(wire) + parent.CLOSE)
    assert answer.raw == [wire[0], wire[2]] and answer.ending == "close"


def test_guard_replaces_the_stock_socket_once():
    def target(connection):
        with session(connection, targets.PATIENT) as outer, session(connection, targets.PATIENT) as inner:
            assert outer.connection.socket is inner.connection.socket is guard(connection).connection.socket
            assert list(inner) == []

    node = parent.Node(target)
    assert node.talk(parent.handshake() + parent.CLOSE).ending == "close" and node.error is None


def test_limits_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SMUG_RECON_STALL_SECONDS", "7.5")
    monkeypatch.setenv("SMUG_RECON_MESSAGE_BYTES", "1e6")
    limits = Limits.from_environment()
    assert (limits.stall_seconds, limits.message_bytes) == (7.5, 1_000_000)
    for wrong in ("soon", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("SMUG_RECON_STALL_SECONDS", wrong)
        with pytest.raises(ConfigurationError, match="STALL_SECONDS"):
            Limits.from_environment()

    def target(connection):
        with session(connection):
            pass

    monkeypatch.setenv("SMUG_RECON_DRAIN_SECONDS", "soon")
    assert "STALL_SECONDS" in parent.Node(target).talk(parent.handshake() + parent.CLOSE).error
