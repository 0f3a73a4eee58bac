"""A GPU that hangs or is lost holds nobody: who runs on it and who waits for it go on on the CPU, and so do those to come."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import hosts
import pytest
import torch

from smug_recon.errors import ModelError
from smug_recon.gadgets.model import answered
from smug_recon.pipeline import load_pipeline
from smug_recon.scanner.models import Models


class HangsOnGpu:
    """A model on a device other than the CPU that never answers; its twin on the CPU is ``model``."""

    def __init__(self, model: Any, twin: bool = True) -> None:
        self.card, self.sha256, self.device = model.card, model.sha256, torch.device("meta")
        self.released, self.runs, self.twin = threading.Event(), 0, model if twin else None

    def forward(self, *_: Any) -> Any:
        self.runs += 1
        self.released.wait(60)
        raise RuntimeError("too late")

    def on_cpu(self, why: str) -> Any:
        if self.twin is None:
            raise ModelError("no memory for a second copy", "memory", "buy some")
        self.twin.moved = getattr(self.twin, "moved", "") or why
        return self.twin


@pytest.fixture
def hanging(model, monkeypatch):
    found = HangsOnGpu(model)
    monkeypatch.setattr(answered, "ANSWER_S", 1.5)
    yield found
    found.released.set()
    for thread in threading.enumerate():
        if thread.name == "on the GPU":
            thread.join(10)


def test_sessions_on_and_before_a_gpu_that_hangs_go_on_on_the_cpu(start, hanging):
    server = start()
    server.house.ready.wait(10)
    server.house.models._load = lambda *_: hanging
    server.house.models._held.clear()
    heard: list[Any] = []

    def host() -> None:
        heard.append(hosts.session(server.port, hosts.fire(slices=2), slices=2))

    threads = [threading.Thread(target=host) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [(found.ending, len(found.images)) for found in heard] == [("close", 2)] * 3
    comments = [image.meta["ImageComments"] for found in heard for image in found.images]
    assert all("GPU lost" in text and "no answer of the device" in text for text in comments)
    assert hanging.runs == 1 and server.house.gpu_lost and server.house.turns.waiting <= 2
    later = hosts.session(server.port, hosts.fire())
    assert later.ending == "close" and len(later.images) == 1 and hanging.runs == 1
    hanging.released.set()
    limit = threading.Event()
    for _ in range(400):
        if not server.house.turns.order:
            break
        limit.wait(0.05)
    assert server.house.turns.order == []


def test_models_after_the_gpu_are_loaded_on_the_cpu(model):
    asked: list[str] = []

    def load(path: Path, sha256: str, device: str) -> Any:
        asked.append(device)
        return model

    models, pipeline = Models(load), load_pipeline()
    models.leave_gpu("CUDA error")
    assert models.get(pipeline) is model and asked == ["cpu"]


@pytest.mark.parametrize("twin", [True, False])
def test_models_in_memory_are_those_on_the_cpu_or_a_stand_in_that_says_why(model, twin):
    models, pipeline = Models(lambda *_: HangsOnGpu(model, twin)), load_pipeline()
    assert models.get(pipeline).device.type == "meta"
    models.leave_gpu("CUDA error: launch failure")
    found = models.get(pipeline)
    assert found.device.type == "cpu"
    if twin:
        assert found is model and "launch failure" in found.moved
    else:
        with pytest.raises(ModelError, match="no memory for a second copy"):
            found.forward(*[torch.zeros(1)] * 3, 0, 0)
