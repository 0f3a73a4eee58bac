"""What the readers read the writers write again, byte for byte, and as the stock readers understand it."""

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

from smug_recon.errors import StreamError
from smug_recon.gadgets.wire import readers, writers
from smug_recon.gadgets.wire.receiving import ReceivingSocket


@pytest.fixture
def source_of():
    """Build sockets with given bytes in them and nothing after those."""
    sockets = []

    def build(data: bytes) -> ReceivingSocket:
        host, far = socket.socketpair()
        host.sendall(data)
        host.close()
        sockets.append(far)
        return ReceivingSocket(far, targets.PATIENT)

    yield build
    for far in sockets:
        far.close()


def written(writer, item) -> bytes:
    """The message that a writer builds."""
    parts: list[bytes] = []
    writer(SimpleNamespace(write=lambda data: parts.append(bytes(data))), item)
    return b"".join(parts)


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


def test_a_header_that_contradicts_its_data_is_refused():
    image, line = parent.image(), parent.acquisition()
    image._head.channels = 7
    line._head.active_channels = 7
    for writer, item in ((writers.write_image, image), (writers.write_acquisition, line)):
        with pytest.raises(StreamError, match="lose its place"):
            written(writer, item)


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


def test_headers_have_the_sizes_of_the_protocol():
    kinds = (ismrmrd.AcquisitionHeader, ismrmrd.ImageHeader, ismrmrd.WaveformHeader)
    assert [ctypes.sizeof(kind) for kind in kinds] == [340, 198, 40]
