"""Waiting for a picture of the live page."""

from __future__ import annotations

import threading


def drawn(made, session, number):
    """Wait for a picture."""
    limit = threading.Event()
    for _ in range(6000):
        if (png := made.png(session, number)) is not None:
            return png
        limit.wait(0.01)
    raise AssertionError("not painted")
