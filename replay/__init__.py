"""Raw files in, images out, through the very chain that runs on the scanner.

The names are loaded when they are used: the session server needs the header of this room, and not its DICOM.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smug_recon.replay.offline import ReplayResult, replay
    from smug_recon.replay.reading.raw import open_raw, read_items

__all__ = ["ReplayResult", "open_raw", "read_items", "replay"]

_HOMES = {
    "ReplayResult": "offline",
    "replay": "offline",
    "open_raw": "reading.raw",
    "read_items": "reading.raw",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"smug_recon.replay.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
