"""What is known of a scan: one small JSON file in the manifest, written when its result is complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeAlias

DONE, FAILED = "done", "failed"
FORMAT = 1
Content: TypeAlias = bytes
LONGEST = 1 << 17
"""In bytes; no record is longer."""


@dataclass(frozen=True)
class Record:
    """Input, order and result of one scan; ``error`` has kind, found, expected and remedy of one that failed."""

    path: str = ""
    status: str = ""
    bytes: int = 0
    modified: str = ""
    sha256: str = ""
    wanted: str = ""
    pipeline: str = ""
    model: str = ""
    version: str = ""
    acquisitions: int = 0
    images: int = 0
    series: dict[str, int] = field(default_factory=dict)
    fallbacks: int = 0
    fallback_reasons: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    warnings_more: int = 0
    cut: str = ""
    seconds: float = 0.0
    attempts: int = 0
    parts: int = 1
    error: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def content(self) -> Content:
        """The bytes of the file; always the same for the same record."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"

    @property
    def reason(self) -> str:
        """Why a scan failed, in one line."""
        if not self.error:
            return ""
        found, expected, remedy = (self.error.get(name, "") for name in ("found", "expected", "remedy"))
        return f"found {found}; expected {expected}; {remedy}"


def read_record(content: Any) -> Record | None:
    """The record in a file of the manifest; None for what is none, cut short or of another format: the scan is done again."""
    if not isinstance(content, bytes) or len(content) > LONGEST:
        return None
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        return None
    kinds = {each.name: type(getattr(_EMPTY, each.name)) for each in fields(Record)}
    if set(found) != set(kinds) or found["status"] not in (DONE, FAILED):
        return None
    for name, kind in kinds.items():
        if kind is float and type(found[name]) is int:
            found[name] = float(found[name])
        if type(found[name]) is not kind:
            return None
    return Record(**found)


def error_of(error: Mapping[str, Any]) -> dict[str, str]:
    """The texts of an error, as a record keeps them."""
    return {name: str(error.get(name, "")) for name in ("kind", "found", "expected", "remedy")}


_EMPTY = Record()
