"""What tells one raw file from another without naming it: its size and its SHA-256."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

BLOCK_BYTES = 1 << 20


def fingerprint(raw: Path | str) -> dict[str, Any]:
    """Return ``bytes`` and ``sha256`` of a file; nothing for what is no file (a pipe, a folder)."""
    path = Path(raw)
    if not path.is_file():
        return {}
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return {"bytes": size, "sha256": digest.hexdigest()}
