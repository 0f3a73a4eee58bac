"""A host that does not read is not read from either: memory stays bounded, and when it reads again nothing is lost."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import ismrmrd
import numpy as np
import parent
import pytest

MEGABYTE = np.arange(1 << 18, dtype=np.uint32).reshape(16, -1)
MOST_MB = 48
"""What two socket buffers and the messages in hand may hold."""


def resident_mb(process: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_back_pressure_bounds_the_memory_of_a_node_and_loses_nothing():
    node = parent.Process("pass_on_as_the_environment_says")
    node.host.settimeout(60)
    node.host.sendall(parent.handshake() + parent.packed(parent.waveform(7)))
    first = b""
    while len(first) < len(parent.packed(parent.waveform(7))):  # it is up and at work
        first += node.host.recv(4096)
    before = resident_mb(node.process.pid)
    packed = [
        parent.packed(ismrmrd.Waveform.from_array(MEGABYTE + number, waveform_id=number))
        for number in range(4)
    ]
    sent, rest = 0, b""
    node.host.settimeout(1.0)
    while sent < 400:
        view = memoryview(packed[sent % 4])
        try:
            while view:
                view = view[node.host.send(view) :]
        except TimeoutError:
            rest = bytes(view)
            break
        sent += 1
    assert sent < MOST_MB, "the node reads on although nobody takes what it sends"
    assert resident_mb(node.process.pid) - before < MOST_MB
    node.host.settimeout(60)
    sender = threading.Thread(target=node.host.sendall, args=(rest + parent.CLOSE,))
    sender.start()
    answer = parent.read_answer(node.host, 60)
    sender.join(20)
    assert answer.ending == "close" and answer.raw == (packed * 100)[: sent + bool(rest)]
    assert node.exit_code() == 0
