"""What a host sends before the readouts, as short as it can be."""

import struct

HANDSHAKE = struct.pack("<HI", 2, 8) + b"<config>" + struct.pack("<HI", 3, 8) + b"<header>"
