"""MRD stream in, MRD stream out: whole messages, the right end, the right exit code; the images of the chain."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from smug_recon.errors import DataError, HeaderError, StreamError
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline
from smug_recon.replay.pipe import MessagePipe
from smug_recon.replay.piped import reconstruct_stream
from smug_recon.replay.reading.mrdstream import StreamRaw

sys.path.insert(0, str(Path(__file__).parents[1] / "gadgets"))
from conventional import ConventionalModel
from small_scan import header, header_xml, whole_scan

END = (4).to_bytes(2, "little")


def small_scan(slices: int = 2) -> list[ismrmrd.Acquisition]:
    return whole_scan(slices).readouts


def stream_of(items, xml: bytes, end: bytes = END) -> bytes:
    marks = {ismrmrd.Acquisition: 1008, ismrmrd.Waveform: 1026, ismrmrd.Image: 1022}
    parts = [(3).to_bytes(2, "little") + len(xml).to_bytes(4, "little") + xml]
    parts += [marks[type(item)].to_bytes(2, "little") + item.to_bytes() for item in items]
    return b"".join(parts) + end


def streamed(data: bytes, path: Path, **overrides):
    """Run the chain from bytes to a file; what was written, and the report or the error."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    try:
        with StreamRaw(io.BytesIO(data), "standard input") as source:
            report = reconstruct_stream(
                source,
                MessagePipe(descriptor),
                None,
                {"device": "cpu", **overrides},
                model=ConventionalModel(iterations=10),
            )
    except Exception as error:
        return path.read_bytes(), error
    finally:
        os.close(descriptor)
    return path.read_bytes(), report


def messages(data: bytes):
    """Items of a stream that must be whole up to its last byte."""
    with StreamRaw(io.BytesIO(data), "output") as source:
        return source.header_xml, list(source.items())


def test_the_images_are_those_of_the_chain_and_the_header_goes_first(tmp_path):
    items, xml = small_scan(), header_xml(slices=2).encode()
    expected: list = []
    settings = load_pipeline().with_overrides({"images.type": "float32"})
    run(items, expected.append, header(slices=2), settings, ConventionalModel(iterations=10))
    data, report = streamed(stream_of(items, xml), tmp_path / "out", **{"images.type": "float32"})
    sent, images = messages(data)
    assert sent == xml and report.slices == 2
    expected = [ismrmrd.Image.from_bytes(image.to_bytes()) for image in expected]
    for image in (*images, *expected):
        assert image.meta.pop("SmugSeconds")  # the one entry that differs from run to run
    assert [dict(image.meta) for image in images] == [dict(image.meta) for image in expected]
    assert [image.to_bytes() for image in images] == [image.to_bytes() for image in expected]


def test_what_is_not_ours_passes_in_its_place(tmp_path):
    waveform = ismrmrd.Waveform.from_array(np.arange(6, dtype=np.uint32).reshape(2, 3))
    image = ismrmrd.Image.from_array(np.ones((3, 4), np.float32), transpose=False)
    image.meta = ismrmrd.Meta({"Note": "größer"})
    readouts = small_scan(1)
    data, _ = streamed(stream_of([waveform, *readouts, image], header_xml().encode()), tmp_path / "out")
    found = messages(data)[1]
    kinds = [type(item).__name__ for item in found]
    assert kinds == ["Waveform", "Image", "Image"]
    assert found[0].to_bytes() == waveform.to_bytes()
    passed = next(item for item in found[1:] if item.data.shape == image.data.shape)
    assert passed.meta["Note"] == "größer"


def test_an_image_leaves_before_the_scan_is_over(tmp_path):
    """The first slice is out while the second has not been sent."""
    items, xml = small_scan(), header_xml(slices=2).encode()
    first = [n for n, item in enumerate(items) if item.idx.slice == 0][-1] + 1
    (read, write), (image, sink) = os.pipe(), os.pipe()
    done = threading.Event()

    def work():
        with StreamRaw(os.fdopen(read, "rb", buffering=0), "pipe") as source:
            reconstruct_stream(
                source, MessagePipe(sink), None, {"device": "cpu"}, model=ConventionalModel(iterations=10)
            )
        done.set()

    threading.Thread(target=work, daemon=True).start()
    with os.fdopen(write, "wb") as pipe:
        pipe.write(stream_of(items[:first], xml, b""))
        pipe.flush()
        taken = b""
        while len(taken) < 6 + len(xml) + 2:  # beyond the header: the first image has begun to leave
            taken += os.read(image, 4096)
        assert not done.is_set()
        pipe.write(stream_of(items[first:], xml)[6 + len(xml) :])
    while not taken.endswith(END) or not done.wait(0.05):
        taken += os.read(image, 2**20)
    assert len(messages(taken)[1]) == 2


@pytest.mark.parametrize("share", [0.2, 0.7, 0.999])
def test_a_stream_that_was_cut_gives_whole_messages_and_no_end_mark(share, tmp_path):
    whole = stream_of(small_scan(), header_xml(slices=2).encode())
    data, error = streamed(whole[: int(len(whole) * share)], tmp_path / "out")
    assert isinstance(error, StreamError)
    with pytest.raises(StreamError, match="after 0 of 2 bytes"):  # cut between two messages, never inside one
        messages(data)


def test_nothing_is_written_for_a_scan_that_is_refused(tmp_path):
    xml = header_xml(slices=2).replace("cartesian", "spiral").encode()
    data, error = streamed(stream_of(small_scan(), xml), tmp_path / "out")
    assert data == b"" and isinstance(error, HeaderError)


def test_a_scan_without_an_image_is_an_error(tmp_path):
    data, error = streamed(stream_of(small_scan(0), header_xml().encode()), tmp_path / "out")
    assert isinstance(error, DataError) and "no image" in str(error)
    assert not data.endswith(END)


def test_a_reader_that_is_gone_is_an_error():
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(StreamError, match="gone"):
        MessagePipe(write).write(b"message")
    os.close(write)


def test_a_signal_waits_for_the_message_in_hand():
    """SIGTERM in the middle of an image: the reader gets all of it, then the writer stops."""
    code = (
        "import os, signal, sys\n"
        "from smug_recon.replay.pipe import own_standard_output\n"
        "out = own_standard_output()\n"
        "print('chatter')\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "out.write(bytes(2_000_000)); out.write(b'more')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        head = process.stdout.read(1000)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        rest = process.stdout.read()
        assert b"chatter" in process.stderr.read()
        assert process.wait(20) == 143
    assert len(head + rest) == 2_000_000


def test_the_command(tmp_path):
    """One pipe through the program: images out, log on standard error; and its exit codes."""
    raw, xml = stream_of(small_scan(1), header_xml().encode()), header_xml().encode()
    command = [sys.executable, "-m", "smug_recon", "stream", "--device", "cpu", "--samples", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, input=raw, capture_output=True, timeout=500, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    sent, images = messages(done.stdout)
    assert sent == xml and [image.data.shape for image in images] == [(1, 1, 48, 48)]
    assert b"outside the trained range" in done.stderr
    wrong = [*command, "--type", "int16"]
    done = subprocess.run(wrong, input=raw, capture_output=True, timeout=500, env=environment, check=False)
    assert (done.returncode, done.stdout) == (2, b"") and b"images.type" in done.stderr
    done = subprocess.run(
        command, input=raw[:200], capture_output=True, timeout=500, env=environment, check=False
    )
    assert (done.returncode, done.stdout) == (1, b"") and b"StreamError" in done.stderr
