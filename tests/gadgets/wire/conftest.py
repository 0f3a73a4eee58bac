"""The stand-in for the network, in place of the model file that the node loads."""

from __future__ import annotations

import pytest

from smug_recon.gadgets.model import file as model_module


@pytest.fixture
def conventional(conventional_model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(model_module, "load_model", lambda *_: conventional_model)
    return conventional_model
