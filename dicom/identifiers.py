"""Unique identifiers under 2.25., derived from content: equal images get equal UIDs, others get others."""

from __future__ import annotations

import hashlib
import re
import uuid

VALID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


def derived_uid(*parts: bytes | str) -> str:
    """A UID of the form 2.25.<UUID as decimal> (PS3.5 B.2) from a SHA-256 over the parts."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return f"2.25.{uuid.UUID(bytes=digest.digest()[:16], version=5).int}"


def usable_uid(found: str | None) -> str | None:
    """A UID from a header if it is a valid one (PS3.5 section 9: at most 64 characters), else None."""
    text = (found or "").strip()
    return text if len(text) <= 64 and VALID.fullmatch(text) else None
