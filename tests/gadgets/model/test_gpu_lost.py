"""A GPU that is lost costs speed: the scan goes on with the same network on the CPU."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from failing import CUDA, SLICES, OnGpu, Raises, marked, outputs, written
from small_scan import header

from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.model import answered
from smug_recon.gadgets.model.file import Model, load_model
from smug_recon.gadgets.model.guard import Guarded
from smug_recon.gadgets.scan import prepare
from smug_recon.gadgets.solve.fallback import CG_SENSE
from smug_recon.pipeline import load_pipeline
from smug_recon.replay.offline import is_fallback


def test_a_gpu_lost_in_mid_scan_costs_no_network(conventional_model: Any) -> None:
    found, report = outputs(OnGpu(conventional_model, RuntimeError(CUDA), 1, 2, 3))
    expected, _ = outputs(conventional_model)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(found, expected, strict=True))
    assert report.fallbacks == 0 and not any(is_fallback(image) for image in found)
    said = ["GPU lost" in image.meta["ImageComments"] for image in found]
    assert said == [False, True, True]
    assert "illegal memory access" in found[1].meta["ImageComments"]
    assert sum("GPU lost" in text for text in report.warnings) == 1


def test_a_cuda_error_without_a_twin_on_the_cpu_gives_conventional_images(conventional_model: Any) -> None:
    found, report = outputs(Raises(conventional_model, RuntimeError(CUDA), 1, 2))
    assert marked(found[1], CG_SENSE, "CUDA error") and marked(found[2], CG_SENSE, "CUDA error")
    assert report.fallbacks == 2


def test_the_model_on_the_cpu_comes_from_memory_and_is_loaded_once(tmp_path: Path) -> None:
    path, digest = written(tmp_path, "nan")
    content = path.read_bytes()
    loaded = load_model(path, digest, "cpu")
    held = Model(loaded.module, loaded.card, digest, torch.device("cuda"), content)  # as loaded on a GPU
    path.unlink()
    twin = held.on_cpu("GPU lost")
    assert (twin.device.type, twin.moved, twin.sha256) == ("cpu", "GPU lost", digest)
    assert held.on_cpu("again") is twin
    kspace = torch.randn(1, 2, 8, 8, dtype=torch.complex64)
    assert torch.isfinite(twin.forward(kspace, kspace, torch.ones(1, 8), 0, 2)[0].abs()).all()


@pytest.mark.parametrize("error", [RuntimeError(CUDA), torch.OutOfMemoryError("CUDA out of memory")])
def test_a_gpu_lost_in_the_warm_up_is_left_and_one_that_is_full_is_not(
    conventional_model: Any, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = OnGpu(conventional_model, error)
    model.device = torch.device("cuda")  # type: ignore[attr-defined]
    monkeypatch.setattr(conventional_model, "warm_up", lambda *_: (_ for _ in ()).throw(error))
    found, plan = prepare(header(slices=SLICES), load_pipeline(), model)[::-1]  # type: ignore[arg-type]
    lost = not isinstance(error, torch.OutOfMemoryError)
    assert (found is not model) == lost
    assert any("GPU lost" in text for text in plan.warnings) == lost


def test_the_frames_of_a_failure_are_let_go_before_the_next_try() -> None:
    """A traceback holds the tensors of the failed run, and with them the memory that the next try needs."""

    held: list[Any] = []

    class Big:
        pass

    def work(model: Any) -> None:
        big = Big()
        if held:
            gc.collect()
            assert held[0]() is None
            return
        held.append(weakref.ref(big))
        raise torch.OutOfMemoryError("CUDA out of memory")

    for device in ("cpu", "meta"):  # in this thread, and in one of its own
        model = SimpleNamespace(device=torch.device(device))
        held.clear()
        assert Guarded(model, Report()).attempt(work)[1] is None  # type: ignore[arg-type]


def test_a_gpu_that_does_not_answer_is_left(conventional_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that hangs cannot be interrupted: the run is left behind, the scan goes on on the CPU."""
    released = threading.Event()

    class Hangs(OnGpu):
        device = torch.device("meta")  # not the CPU, and there on every machine

        def forward(self, *arguments: Any) -> Any:
            released.wait(60)

    monkeypatch.setattr(answered, "ANSWER_S", 0.5)
    found, report = outputs(Hangs(conventional_model, ValueError()))
    released.set()
    expected, _ = outputs(conventional_model)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(found, expected, strict=True))
    assert all("no answer of the device within 0.5 s" in image.meta["ImageComments"] for image in found)
    assert report.fallbacks == 0


def test_what_fails_on_a_gpu_is_raised_where_it_is_waited_for() -> None:
    def fails() -> None:
        raise ZeroDivisionError("on the GPU")

    with pytest.raises(ZeroDivisionError, match="on the GPU"):
        answered.answered(fails, torch.device("meta"), 20)
    assert answered.answered(lambda: torch.is_inference_mode_enabled(), torch.device("meta"), 20)
