"""One request to the live page, and an image to show on it."""

from __future__ import annotations

import http.client
from typing import Any

import ismrmrd
import numpy as np

from smug_recon.web import LivePage


def ask(page: LivePage, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    """Status, headers and body of one request; ``Host`` is what a browser on this machine says, unless given."""
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=20)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read()
    connection.close()
    return found


def image(slice_index: int = 0, fallback: str = "", side: int = 32) -> ismrmrd.Image:
    """An image as the chain sends it."""
    made = ismrmrd.Image.from_array(np.arange(side * side, dtype=np.uint16).reshape(1, 1, side, side))
    made.field_of_view = (192.0, 192.0, 5.0)
    made.read_dir, made.phase_dir, made.slice_dir = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
    made.slice = slice_index
    meta = ismrmrd.Meta()
    meta["SequenceDescriptionAdditional"] = "CG-SENSE" if fallback else "SMUG"
    if fallback:
        meta["SmugFallback"], meta["SmugFallbackReason"] = "CG-SENSE", fallback
    made.meta = meta
    return made
