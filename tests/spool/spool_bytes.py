"""What a host sends, as short as it can be, and what has been kept of it."""

from __future__ import annotations

import struct

from smug_recon.spool import Keeping
from smug_recon.spool.record import STREAM

HANDSHAKE = struct.pack("<HI", 2, 8) + b"<config>" + struct.pack("<HI", 3, 8) + b"<header>"
READOUT = bytes(range(256)) * 4  # longer than the shortest message with a readout


def stream(keeping: Keeping) -> bytes:
    """The bytes of a session on disk."""
    return (keeping._spool.path / STREAM).read_bytes()
