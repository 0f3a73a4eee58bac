"""A peer that accepts and then says nothing, stops reading, or stops in the middle of a message: every wait ends."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from dicom_scans import header, scan
from pacs_programs import PATIENCE_S, UNCLOSED

from smug_recon.dicom import write_dicom
from smug_recon.pacs import deliver
from smug_recon.pacs.queue import STORED, WAITING

pytestmark = UNCLOSED

HALF_AN_ANSWER = b"\x02\x00\x00\x00\x00\xc8" + b"\x00" * 10
"""A-ASSOCIATE-AC that announces 200 bytes and ends after 10 of them."""


@pytest.fixture
def rude() -> Iterator[Callable[[bytes], int]]:
    """Listen; answer the first bytes of every connection with some bytes, then neither read nor write nor close."""
    held: list[socket.socket] = []

    def start(answer: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        held.append(listener)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connected, _ = listener.accept()
                    held.append(connected)
                    connected.recv(1)
                    connected.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for each in held:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@pytest.mark.parametrize("answer", [b"", HALF_AN_ANSWER, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_peer_that_does_not_answer_leaves_everything_in_the_queue(answer, rude, studies, destination):
    done = within(lambda: deliver(studies["slices"], destination(rude(answer), timeout_s=0.5), give_up_s=1.0))
    assert done.exit_code == 4 and done.counts[WAITING] == 3 and done.trouble


def test_a_peer_that_stops_reading_in_the_middle_of_an_image(failing, studies, destination, tmp_path):
    """A proxy passes the association on, then takes no byte more of the image."""
    (image,) = scan(slices=1)
    image.resize(1, 1, 2048, 2048)  # 8 MB: more than the buffers of a connection hold
    image.data[:] = np.random.default_rng(0).integers(0, 4000, image.data.shape)
    files = write_dicom([image], header(), tmp_path / "large")
    peer = failing()
    listener = socket.create_server(("127.0.0.1", 0))
    port, held = int(listener.getsockname()[1]), []

    def half() -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = listener.accept()
                theirs = socket.create_connection(("127.0.0.1", peer.port))
                held.extend((ours, theirs))
                threading.Thread(target=pump, args=(theirs, ours, None), daemon=True).start()
                threading.Thread(target=pump, args=(ours, theirs, 100_000), daemon=True).start()

    def pump(source: socket.socket, sink: socket.socket, most: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while (most is None or passed < most) and (data := source.recv(4096)):
                sink.sendall(data)
                passed += len(data)

    threading.Thread(target=half, daemon=True).start()
    done = within(lambda: deliver(files, destination(port, timeout_s=0.5), give_up_s=2.0))
    assert done.exit_code == 4 and done.counts[WAITING] == 1
    for each in (listener, *held):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
    assert deliver(files, destination(peer.port)).counts[STORED] == 1


def within(work: Callable[[], object]) -> object:
    """The result of some work, which must end within the patience of the tests."""
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert found, "it hangs"
    return found[0]
