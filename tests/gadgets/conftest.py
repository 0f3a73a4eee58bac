"""The stand-in for the network that the stage tests share."""

from __future__ import annotations

import pytest
from conventional import ConventionalModel


@pytest.fixture
def conventional_model() -> ConventionalModel:
    return ConventionalModel(noise=1e-6)
