"""The stand-in for the network, and the way to the small scan of the stage tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path[:0] = [str(Path(__file__).parents[1] / "gadgets")]  # small_scan

from report_model import SpreadingModel, make_model  # noqa: E402


@pytest.fixture
def model() -> SpreadingModel:
    """The stand-in, afresh."""
    torch.set_num_threads(1)
    return make_model()
