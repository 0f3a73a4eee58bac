"""``smug-recon stream`` reads on while slices are reconstructed: pixels, order and endings of one thread; silence holds nothing up.

What has to happen first is waited for as an event; no law here depends on a clock.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ismrmrd
import pytest

from smug_recon.errors import StreamError
from smug_recon.gadgets import read_on
from smug_recon.replay.messages.source import Raw
from smug_recon.replay.pipe import MessagePipe
from smug_recon.replay.piped import reconstruct_stream
from smug_recon.replay.reading.mrdstream import StreamRaw
from smug_recon.replay.reading.raw import open_raw

sys.path.insert(0, str(Path(__file__).parents[1] / "gadgets"))


from conventional import ConventionalModel
from small_scan import SmallScan, header_xml

END = (4).to_bytes(2, "little")


LONG_S = 40


def readouts_of(slices: int) -> list[bytes]:
    scan = SmallScan()
    scan.add_noise_scan()
    for number in range(slices):
        scan.add_slice(number)
    return [(1008).to_bytes(2, "little") + item.to_bytes() for item in scan.readouts]


def begin(slices: int) -> bytes:
    xml = header_xml(slices=slices).encode()
    return (3).to_bytes(2, "little") + len(xml).to_bytes(4, "little") + xml


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read on"]


class Model(ConventionalModel):
    """CG-SENSE; ``before`` is called with every slice."""

    def __init__(self) -> None:
        super().__init__(iterations=8)
        self.before: Callable[[], Any] = lambda: None

    def forward(self, *arguments: Any) -> Any:
        self.before()
        return super().forward(*arguments)


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.BufferedWriter]:
    """The writing end of a pipe that is standard input."""
    read, write = os.pipe()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(os.fdopen(read, "rb")))
    writer = os.fdopen(write, "wb")
    yield writer
    writer.close()
    sys.stdin.close()


def feed(pipe: io.BufferedWriter, data: bytes, close: bool = True) -> threading.Thread:
    """Write from a thread of its own."""

    def run() -> None:
        pipe.write(data)
        pipe.flush()
        if close:
            pipe.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def reconstructed(path: Path, model: Any, source: Raw | None = None) -> tuple[list[Any], Exception | None]:
    """The items that leave, and the error that ends the stream."""
    descriptor, error = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), None
    try:
        with source or open_raw("-") as raw:
            reconstruct_stream(raw, MessagePipe(descriptor), None, {"device": "cpu"}, model=model)
    except Exception as found:
        error = found
    finally:
        os.close(descriptor)
    data = path.read_bytes()
    assert data.endswith(END) == (error is None)
    with StreamRaw(io.BytesIO(data + (b"" if error is None else END)), "output") as output:
        return list(output.items()), error


def test_the_images_are_those_of_one_thread_bit_for_bit(
    standard_input: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, made, usual = begin(3) + b"".join(readouts_of(3)) + END, [], read_on.ReadOn
    monkeypatch.setattr(read_on, "ReadOn", lambda *arguments: made.append(usual(*arguments)) or made[-1])
    alone = StreamRaw(io.BytesIO(data), "one thread")
    expected, _ = reconstructed(tmp_path / "one", Model(), alone)
    assert alone.halt is None and made == []
    feeder = feed(standard_input, data)
    found, error = reconstructed(tmp_path / "two", Model())
    feeder.join(LONG_S)
    assert error is None and len(made) == 1 and len(found) == len(expected) == 3
    for one, two in zip(expected, found, strict=True):
        assert one.data.tobytes() == two.data.tobytes()
        assert bytes(one.getHead())[:-4] == bytes(two.getHead())[:-4]  # then the length of the Meta
    assert readers() == []


def test_the_next_slice_is_in_memory_before_an_image_leaves(standard_input: Any, tmp_path: Path) -> None:
    """The network waits, with its first slice, until all of the second one has been read; nothing has left by then."""
    taken, waited, model = threading.Event(), [], Model()
    model.before = lambda: waited.append(taken.wait(LONG_S))
    source = open_raw_counted(standard_input, begin(2) + b"".join(readouts_of(2)) + END, taken)
    found, error = reconstructed(tmp_path / "out", model, source)
    assert error is None and waited == [True, True] and len(found) == 2 and readers() == []


def open_raw_counted(pipe: Any, data: bytes, taken: threading.Event) -> Raw:
    """Standard input that says when its last item has been taken."""
    feeder = feed(pipe, data)
    raw = open_raw("-")
    usual = raw.items

    def items() -> Iterator[Any]:
        yield from usual()
        feeder.join(LONG_S)
        taken.set()

    raw.items = items  # type: ignore[method-assign]
    return raw


@pytest.mark.parametrize("cut", [0, 1, 200], ids=["between two messages", "in an identifier", "in a readout"])
def test_a_writer_that_dies_is_an_error_behind_the_complete_slices(
    standard_input: Any, tmp_path: Path, cut: int
) -> None:
    lines = readouts_of(3)
    feeder = feed(standard_input, begin(3) + b"".join(lines[:-1]) + lines[-1][:cut])
    found, error = reconstructed(tmp_path / "out", Model())
    feeder.join(LONG_S)
    assert isinstance(error, StreamError) and "the end of standard input" in str(error)
    assert [type(item) for item in found] == [ismrmrd.Image] * 2 and readers() == []


@pytest.mark.parametrize("cut", [0, 200], ids=["between two messages", "in a readout"])
def test_a_writer_that_is_silent_does_not_hold_up_an_error(standard_input: Any, cut: int) -> None:
    """Whoever took the images is gone; the reader waits for a pipe on which nothing will ever come."""
    lines, (image, sink) = readouts_of(2), os.pipe()
    os.close(image)
    feeder = feed(standard_input, begin(2), close=False)
    model, inside, output = Model(), threading.Event(), MessagePipe(sink)
    model.before = inside.set
    failed: list[Exception] = []
    output.header = lambda xml: None  # type: ignore[method-assign]  # else it hears of it before anything is read

    def work() -> None:
        try:
            with open_raw("-") as raw:
                reconstruct_stream(raw, output, None, {"device": "cpu"}, model=model)
        except Exception as error:
            failed.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    feeder.join(LONG_S)
    feed(standard_input, b"".join(lines[:-1]) + lines[-1][:cut], close=False).join(LONG_S)
    assert inside.wait(LONG_S)
    worker.join(LONG_S)
    os.close(sink)
    assert not worker.is_alive() and readers() == []
    assert isinstance(failed[0], StreamError) and "gone" in str(failed[0])


def test_sigterm_ends_a_stream_that_waits_for_its_pipe() -> None:
    """One image is out, the writer is silent and stays: exit code 143, nothing but whole messages on standard output."""
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from conventional import ConventionalModel\n"
        "from smug_recon.options import unwind_on_sigterm\n"
        "from smug_recon.replay.pipe import own_standard_output\n"
        "from smug_recon.replay.piped import reconstruct_stream\n"
        "from smug_recon.replay.reading.raw import open_raw\n"
        "output = own_standard_output(); unwind_on_sigterm()\n"
        "with open_raw('-') as raw:\n"
        "    reconstruct_stream(raw, output, None, {'device': 'cpu'}, model=ConventionalModel(iterations=8))\n"
    )
    lines, size = readouts_of(2), len(begin(2))
    command = [sys.executable, "-c", program, str(Path(__file__).parents[1] / "gadgets")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, **pipes) as process:  # type: ignore[call-overload]
        process.stdin.write(begin(2) + b"".join(lines[:-1]) + lines[-1][:100])
        process.stdin.flush()
        taken = process.stdout.read(size + 2)  # the first image has begun to leave
        try:
            process.send_signal(signal.SIGTERM)
            code = process.wait(LONG_S)
        finally:
            process.kill()
        taken, said = taken + process.stdout.read(), process.stderr.read()
    assert code == 143 and b"Fatal" not in said, said
    with StreamRaw(io.BytesIO(taken + END), "output") as output:
        assert [type(item) for item in output.items()] == [ismrmrd.Image]
