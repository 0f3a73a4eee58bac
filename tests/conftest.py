"""Fixtures shared by all rooms: where the real data lies, and one CPU thread unless told otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before torch is imported: threads that wait for each other by spinning take minutes on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real raw files and slices; its absence skips the test with the way to mend it."""
    folder = Path(os.environ.get("SMUG_RECON_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(
            "real data not found: put it in ../shared/data or point SMUG_RECON_SHARED to the folder above data/"
        )
    return folder
