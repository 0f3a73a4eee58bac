"""Nodes that behave, lie, stall and die; each is run as ``python -m gadgetron PORT replay_nodes NAME``."""

from __future__ import annotations

import json
import os
import signal
import struct
import time
from pathlib import Path

import ismrmrd
import numpy as np


def image_of(values_yx, index=1, series=1):
    image = ismrmrd.Image.from_array(
        values_yx,
        transpose=False,
        image_type=ismrmrd.IMTYPE_MAGNITUDE,
        image_index=index,
        image_series_index=series,
        field_of_view=(8.0, 4.0, 1.0),
        read_dir=(1.0, 0, 0),
        phase_dir=(0, 1.0, 0),
        slice_dir=(0, 0, 1.0),
    )
    image.meta = ismrmrd.Meta({"WindowCenter": "50", "WindowWidth": "100"})
    return image


def sums(connection):
    """One uint16 image per acquisition, its first pixel the scan counter; other items pass through."""
    for number, item in enumerate(connection, 1):
        if isinstance(item, ismrmrd.Acquisition):
            pixels_yx = np.full((4, 8), number, np.uint16)
            pixels_yx[0, 0] = item.scan_counter % 65536
            connection.send(image_of(pixels_yx, number, 1 + number % 2))
        else:
            connection.send(item)
    if target := os.environ.get("SMUG_RECON_TIMING"):
        stages = [
            {"name": "receive", "seconds": 0.5, "calls": number},
            {"name": "network", "seconds": 1.5, "calls": 2},
        ]
        Path(target).write_text(json.dumps({"stages": stages, "wall_seconds": 2.0, "fallbacks": 0}))


def fallback(connection):
    for number, _ in enumerate(connection, 1):
        image = image_of(np.ones((4, 8), np.uint16), number)
        image.meta["DataRole"] = ["Image", "FALLBACK"]
        connection.send(image)


def configuration(connection):
    """Fail with what arrived."""
    fail(connection, f"{connection.raw_bytes.config.decode()} {connection.raw_bytes.header.decode()}")


def flood(connection):
    """More images than any buffer holds, before the scan is read."""
    for number in range(40):
        connection.send(image_of(np.full((512, 512), number, np.float32), number + 1))
    for _ in connection:
        pass


def fail(connection, text="the scan cannot be reconstructed: \u03c3 missing"):
    """Report an error and read on to the host's end mark."""
    encoded = text.encode()
    connection.socket.write(struct.pack("<HQ", 8, len(encoded)) + encoded)
    for _ in connection:
        pass
    os._exit(1)


def late_failure(connection):
    connection.send(image_of(np.ones((4, 8), np.uint16)))
    fail(connection)


def nothing(connection):
    for _ in connection:
        pass


def leaves(connection):
    next(iter(connection))


def raises(connection):
    for _ in connection:
        raise RuntimeError("a bug in the node")


def raises_at_the_end(connection):
    for _ in connection:
        pass
    connection.send(image_of(np.ones((4, 8), np.uint16)))
    raise RuntimeError("a bug in the node")


def killed(connection):
    connection.send(image_of(np.ones((4, 8), np.uint16)))
    next(iter(connection))
    os.kill(os.getpid(), signal.SIGKILL)


def half_an_image(connection):
    connection.socket.write((1022).to_bytes(2, "little") + bytes(100))
    os._exit(0)


def unknown_id(connection):
    connection.socket.write((777).to_bytes(2, "little"))
    nothing(connection)


def int64_image(connection):
    connection.send(image_of(np.ones((4, 8), np.int64)))
    nothing(connection)


def broken_meta(connection):
    whole = image_of(np.ones((4, 8), np.uint16)).to_bytes()
    connection.socket.write((1022).to_bytes(2, "little") + whole.replace(b"</meta>", b"</mate>"))
    nothing(connection)


def silent(connection):
    for _ in connection:
        pass
    time.sleep(600)


def deaf(connection):
    time.sleep(600)
