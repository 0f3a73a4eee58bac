"""A spool as raw scan: whole or cut at any byte, of readouts and of buckets; and the whole way, with kill -9."""

from __future__ import annotations

import signal
import struct
import threading
import tracemalloc

import front_end_buckets
import hosts
import ismrmrd
import numpy as np
import parent
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from small_scan import header_xml, sampled_lines

from smug_recon.errors import DataError, StreamError
from smug_recon.gadgets.wire.connection import session
from smug_recon.gadgets.wire.spooled import spooled
from smug_recon.pipeline import SpoolSettings
from smug_recon.replay import replay
from smug_recon.replay.reading.raw import open_raw
from smug_recon.replay.results.images import read_images
from smug_recon.spool import SpoolFolder
from smug_recon.spool.record import STREAM, read_record

LINES = hosts.scan(2)
NOISE_LINES, SLICE_LINES = 8, len(sampled_lines())
START = hosts.client(slices=2)
CUT_AT = len(START) + 3 * len(LINES[0])


@pytest.fixture
def spool(tmp_path):
    """``spool(content)``: a folder with these bytes as its stream."""

    def make(content, name="20261121-120000-abcdef"):
        path = tmp_path / "spools" / name
        path.mkdir(parents=True, exist_ok=True)
        (path / STREAM).write_bytes(content)
        return path

    return make


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(len(START), len(START) + sum(map(len, LINES)) + 1))
@example(cut=len(START))
@example(cut=CUT_AT)
@example(cut=CUT_AT + 1)
@example(cut=CUT_AT + 2)
def test_cut_at_any_byte_whole_messages_come_out(cut, spool):
    content = (START + b"".join(LINES) + hosts.CLOSE)[:cut]
    with open_raw(spool(content)) as raw:
        came = b"".join(block.payload for block in raw.blocks())
        assert not raw.whole
    ends = np.cumsum([0, *map(len, LINES)])
    whole = int(ends[ends <= cut - len(START)][-1])
    assert came == b"".join(LINES)[:whole]


def test_a_whole_stream_is_whole(spool):
    with open_raw(spool(START + b"".join(LINES) + hosts.CLOSE + b"more")) as raw:
        assert b"".join(block.payload for block in raw.blocks()) == b"".join(LINES) and raw.whole


@pytest.mark.parametrize(
    "tail",
    [
        struct.pack("<H", 1050) + struct.pack("<Q", 2**62) * 12,  # a bucket that claims more than there is
        struct.pack("<H", 1008) + b"\xff" * 340,
        struct.pack("<HI", 5, 2**31),
        struct.pack("<H", 999),
    ],
)
def test_what_claims_too_much_ends_the_scan_without_taking_memory(tail, spool):
    with open_raw(spool(START + LINES[0] + tail)) as raw:
        tracemalloc.start()
        try:
            assert b"".join(block.payload for block in raw.blocks()) == LINES[0] and not raw.whole
            assert tracemalloc.get_traced_memory()[1] < 10 << 20
        finally:
            tracemalloc.stop()


def test_a_spool_without_a_header_is_refused(spool):
    with pytest.raises(StreamError, match="end of spool"):
        open_raw(spool(START[:-1]))


def test_a_folder_of_spools_names_them(spool, tmp_path):
    for number in range(3):
        spool(START, f"20261121-12000{number}-abcdef")
    with pytest.raises(DataError, match=r"3 spools.*20261121-120002-abcdef, 20261121-120001-abcdef"):
        open_raw(tmp_path / "spools")
    with pytest.raises(DataError, match="no spool"):
        open_raw(tmp_path)


def test_buckets_of_the_front_end_are_kept_and_read_byte_for_byte(tmp_path, monkeypatch):
    """The node behind the C++ front end, on its real connection; how long a bucket is shows only while it is read."""
    monkeypatch.setenv("SMUG_RECON_SPOOL", str(tmp_path))
    scan = front_end_buckets.accumulate(readouts(), trigger="slice")
    messages = [front_end_buckets.bucket_message(bucket) for bucket in scan]
    assert len(messages) > 1

    def target(connection):
        with spooled("reconstruct_buffers") as spool, session(connection) as host:
            spool.listen(host)
            for _ in host:
                pass

    node = parent.Node(target)
    sent = parent.handshake(header=header_xml(slices=2).encode())
    answer = node.talk([sent, *messages, parent.CLOSE])
    assert answer.ending == "close" and node.error is None
    (kept,) = SpoolFolder(SpoolSettings(folder=tmp_path)).spools()
    assert (kept.path / STREAM).read_bytes() == sent + b"".join(messages) + parent.CLOSE
    with open_raw(kept.path) as raw:
        assert raw.target == "reconstruct_buffers"
        assert b"".join(block.payload for block in raw.blocks()) == b"".join(messages) and raw.whole


def readouts():
    for message in LINES:
        item = ismrmrd.Acquisition.from_bytes(message[2:])
        if not item.isFlagSet(ismrmrd.ACQ_IS_NOISE_MEASUREMENT):
            yield item


def test_a_node_killed_in_mid_scan_leaves_a_spool_that_gives_its_complete_slices(tmp_path):
    """kill -9 of ``python -m gadgetron`` after its first image, in the second slice; replayed by the node itself."""
    spools = tmp_path / "spools"
    process = parent.Process(
        "reconstruct", "smug_recon.gadgets", SMUG_RECON_SPOOL=str(spools), OMP_NUM_THREADS="1"
    )
    begin = parent.handshake(parent.CONFIG_XML, header_xml(slices=2).encode())
    whole, half = begin + b"".join(LINES[:-5]), LINES[-5][:99]
    sent = whole + half
    threading.Thread(target=process.host.sendall, args=(whole,), daemon=True).start()
    first = parent_image(process.host)
    process.host.sendall(half)  # half a line any earlier would be waited for before the image
    process.process.send_signal(signal.SIGKILL)
    assert process.exit_code() == -signal.SIGKILL
    (kept,) = SpoolFolder(SpoolSettings(folder=spools)).spools()
    assert (read_record(kept.path).state, kept.held, kept.removable) == ("running", False, False)
    stream = (kept.path / STREAM).read_bytes()
    assert sent.startswith(stream)
    assert len(stream) >= len(begin) + sum(map(len, LINES[: NOISE_LINES + SLICE_LINES]))
    result = replay(kept.path, tmp_path / "out", dicom=False, preview=False)
    assert result.cut and result.series == {"images_1": 1}
    (again,) = read_images(result.images, "images_1")
    np.testing.assert_array_equal(first.data, again.data)
    assert again.data.dtype == np.float32  # as the configuration of the session said


def parent_image(connected):
    connected.settimeout(300)

    def read(count):
        data = b""
        while len(data) < count:
            part = connected.recv(count - len(data))
            assert part, "the node ended"
            data += part
        return data

    while struct.unpack("<H", read(2))[0] != 1022:
        ismrmrd.Acquisition.deserialize_from(read)
    return ismrmrd.Image.deserialize_from(read)


def test_messages_that_arrive_in_pieces_are_heard_once_each(tmp_path, monkeypatch):
    """Messages longer than the buffers of the socket are received in pieces, straight into their memory."""
    monkeypatch.setenv("SMUG_RECON_SPOOL", str(tmp_path))
    random = np.random.default_rng(0)
    data = random.standard_normal((3, 16, 8192)).astype(np.float32).view(np.complex64)
    messages = [parent.packed(ismrmrd.Acquisition.from_array(part)) for part in data]
    messages.insert(1, LINES[0])

    def target(connection):
        with spooled() as spool, session(connection) as host:
            spool.listen(host)
            for _ in host:
                pass

    node = parent.Node(target)
    sent = parent.handshake(header=header_xml().encode())
    assert node.talk([sent, *messages, parent.CLOSE]).ending == "close"
    (kept,) = SpoolFolder(SpoolSettings(folder=tmp_path)).spools()
    assert (kept.path / STREAM).read_bytes() == sent + b"".join(messages) + parent.CLOSE
