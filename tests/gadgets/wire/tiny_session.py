"""A session of three small messages, and the node run on what a host sent before it went."""

from __future__ import annotations

import socket

import ismrmrd
import numpy as np
import parent
import targets

from smug_recon.errors import HeaderError, StreamError

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
