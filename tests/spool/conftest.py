"""A spool folder of a test, and sessions written byte by byte."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spool_bytes import HANDSHAKE

from smug_recon.pipeline import SpoolSettings
from smug_recon.spool import Keeping

sys.path.insert(0, str(Path(__file__).parents[1] / "gadgets"))  # small_scan, parent, front_end_buckets
sys.path.insert(0, str(Path(__file__).parents[1] / "scanner"))  # hosts


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., SpoolSettings]:
    """``settings(gigabytes=...)``: those of the folder ``spools`` of this test."""

    def make(**changes: Any) -> SpoolSettings:
        return SpoolSettings.model_validate({"folder": tmp_path / "spools", **changes})

    return make


@pytest.fixture
def keep(settings: Callable[..., SpoolSettings]) -> Callable[..., Keeping]:
    """``keep(content, state)``: a whole session in one call; without a state it goes on."""

    def make(content: bytes = b"", state: str = "", **changes: Any) -> Keeping:
        keeping = Keeping(settings(**changes))
        keeping.hear(HANDSHAKE)
        keeping.begin("a host")
        keeping.hear(content)
        if state:
            keeping.end(state)
        return keeping

    return make
