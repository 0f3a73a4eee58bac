"""What is not ours passes through a guarded connection in order, byte for byte."""

from __future__ import annotations

import copy
import ctypes
import io
import socket
from types import SimpleNamespace

import ismrmrd
import numpy as np
import parent
import pytest
import targets
from gadgetron.external import constants
from gadgetron.types import acquisition_bucket as buckets
from gadgetron.types import image_array, recon_data
from hypothesis import given, settings
from hypothesis import strategies as st

from smug_recon.errors import ConfigurationError, StreamError
from smug_recon.gadgets.wire import readers, writers
from smug_recon.gadgets.wire.connection import guard, session
from smug_recon.gadgets.wire.protocol import Limits
from smug_recon.gadgets.wire.sockets import GuardedSocket


def chopped(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.fixture
def source_of():
    """Build guarded sockets with given bytes in them and nothing after those."""
    sockets = []

    def build(data: bytes) -> GuardedSocket:
        host, far = socket.socketpair()
        host.sendall(data)
        host.close()
        sockets.append(far)
        return GuardedSocket(far, targets.PATIENT)

    yield build
    for far in sockets:
        far.close()


def written(writer, item) -> bytes:
    """The message that a writer builds."""
    parts: list[bytes] = []
    writer(SimpleNamespace(write=lambda data: parts.append(bytes(data))), item)
    return b"".join(parts)


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


@pytest.mark.parametrize(
    "attributes",
    [
        b"",
        b"no XML at all \0",
        "<?xml version='1.0'?><ismrmrdMeta><meta><name>Größe</name><value/></meta></ismrmrdMeta>\0".encode(),
        "ä".encode("latin-1"),
    ],
)
def test_attributes_we_did_not_change_keep_their_bytes(attributes, source_of):
    plain = parent.image(3)
    head = plain.getHead()
    head.attribute_string_len = len(attributes)
    wire = parent.message(
        1022, bytes(head) + len(attributes).to_bytes(8, "little") + attributes + plain.data.tobytes()
    )
    image = readers.read_image(source_of(wire[2:]))
    assert written(writers.write_image, image) == wire
    image.meta["DataRole"] = ["Image", "Changed"]
    again = readers.read_image(source_of(written(writers.write_image, image)[2:]))
    assert again.meta["DataRole"] == ["Image", "Changed"]


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


def test_a_header_that_contradicts_its_data_is_refused():
    image, line = parent.image(), parent.acquisition()
    image._head.channels = 7
    line._head.active_channels = 7
    for writer, item in ((writers.write_image, image), (writers.write_acquisition, line)):
        with pytest.raises(StreamError, match="lose its place"):
            written(writer, item)


def test_filters_of_the_stock_connection_still_work():
    def target(connection):
        connection.filter(ismrmrd.Acquisition)
        with session(connection, targets.PATIENT) as host:
            assert all(isinstance(item, ismrmrd.Acquisition) for item in host)

    wire = [parent.packed(item) for item in (parent.waveform(1), parent.acquisition(), parent.image())]
    answer = parent.Node(target).talk(parent.handshake() + b"".join(wire) + parent.CLOSE)
    assert answer.raw == [wire[0], wire[2]] and answer.ending == "close"


def example_image_array(waveforms: bool) -> image_array.ImageArray:
    random = np.random.default_rng(1)
    headers = np.empty((1, 2, 3), dtype=object)
    for index in np.ndindex(headers.shape):
        headers[index] = ismrmrd.ImageHeader(slice=index[2], image_index=index[1])
    acquisition_headers = np.empty(2, dtype=object)
    for index in range(2):
        acquisition_headers[index] = ismrmrd.AcquisitionHeader(scan_counter=index)
    data = random.standard_normal((4, 5, 1, 2, 1, 2, 3)) + 1j  # complex128: cast on sending
    return image_array.ImageArray(
        data,
        headers,
        ["", "größer", "\udcff: no UTF-8"],
        [parent.waveform(1)] if waveforms else None,
        acquisition_headers,
    )


def example_recon_data() -> recon_data.ReconData:
    random = np.random.default_rng(2)
    headers = np.empty((2, 1), dtype=object)
    for index in range(2):
        headers[index, 0] = ismrmrd.AcquisitionHeader(scan_counter=index)
    sampling = recon_data.SamplingDescription()
    sampling.encoded_matrix[:] = [16, 8, 1]
    buffer = recon_data.ReconBuffer(
        random.standard_normal((8, 4, 1, 2)).astype(np.complex64),
        None,
        random.standard_normal((3, 2)),
        headers,
        sampling,
    )
    return recon_data.ReconData([recon_data.ReconBit(buffer, copy.copy(buffer)), recon_data.ReconBit(buffer)])


@pytest.mark.parametrize("waveforms", [False, True])
def test_image_arrays_survive_the_round_trip(waveforms, source_of):
    sent = example_image_array(waveforms)
    wire = written(writers.write_image_array, sent)
    read = readers.read_image_array(source_of(wire[2:]))
    assert np.array_equal(read.data, sent.data.astype(np.complex64)) and read.meta == sent.meta
    assert read.headers.shape == (1, 2, 3) and read.headers[0, 1, 2] == sent.headers[0, 1, 2]
    assert read.waveform == sent.waveform and list(read.acq_headers) == list(sent.acq_headers)
    assert written(writers.write_image_array, read) == wire


@pytest.mark.filterwarnings(
    "ignore:A builtin ctypes object:RuntimeWarning"
)  # the stock reader's object arrays
def test_recon_data_survive_the_round_trip_and_agree_with_the_stock_reader(source_of):
    sent = example_recon_data()
    wire = written(writers.write_recon_data, sent)
    read = readers.read_recon_data(source_of(wire[2:]))
    assert written(writers.write_recon_data, read) == wire
    stock = recon_data.read_recon_data(io.BytesIO(wire[2:]))
    for bit in (read[0], stock[0]):
        assert np.array_equal(bit.data.data, sent[0].data.data)
        assert np.array_equal(bit.ref.density, sent[0].data.density.astype(np.float32))
        assert tuple(bit.data.sampling.encoded_matrix) == (16, 8, 1) and bit.data.trajectory is None


def test_a_bucket_with_waveforms_can_be_read(source_of):
    lines, wave = [parent.acquisition(0, 2, 8), parent.acquisition(1, 2, 8)], parent.waveform(4)
    sizes = buckets.bucket_meta()
    sizes.data.count, sizes.waveforms.count = 2, 1
    statistics = b"".join(constants.uint64.pack(1) + np.uint16(3).tobytes() for _ in range(9))
    wire = bytes(sizes) + b"".join(bytes(line.getHead()) for line in lines)
    wire += b"".join(line.data.tobytes() for line in lines)
    wire += constants.uint64.pack(1) + statistics + constants.uint64.pack(0)
    wire += bytes(wave.getHead()) + wave.data.tobytes()
    bucket = readers.read_bucket(source_of(wire))
    assert bucket.data == lines and bucket.waveforms == [wave] and bucket.ref == []
    assert bucket.datastats[0].slice == {3}


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


def test_headers_have_the_sizes_of_the_protocol():
    kinds = (ismrmrd.AcquisitionHeader, ismrmrd.ImageHeader, ismrmrd.WaveformHeader)
    assert [ctypes.sizeof(kind) for kind in kinds] == [340, 198, 40]
