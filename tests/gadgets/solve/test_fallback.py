"""Always an image: what the network does wrong costs a slice its network, never the scan, and the image says so."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from failing import CUDA, IN_SCRIPT, SLICES, Raises, marked, outputs, plain, written

from smug_recon.errors import ModelError, StreamError
from smug_recon.gadgets.flow.kinds import GPU_LOST, NETWORK, NO_MODEL, NOT_FINITE, OUT_OF_MEMORY, STRICT
from smug_recon.gadgets.model.file import load_model
from smug_recon.gadgets.solve.fallback import CG_SENSE
from smug_recon.replay.offline import is_fallback


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("nan", "values that are not finite"),
        ("inf", "values that are not finite"),
        ("raise", "a fault inside the network"),
    ],
)
def test_a_failing_network_costs_one_slice_its_network(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str, reason: str
) -> None:
    path, digest = written(tmp_path, how)
    settings = {"images.conventional": True, "images.type": "float32"}
    with caplog.at_level(logging.WARNING):
        found, report = outputs(load_model(path, digest, "cpu"), **settings)
    smug, beside = found[0::2], found[1::2]
    assert [image.slice for image in smug] == [0, 1, 2]
    assert plain(smug[0]) and marked(smug[1], CG_SENSE, reason) and plain(smug[2])
    assert np.array_equal(smug[1].data, beside[1].data)
    assert report.fallbacks == 1
    assert list(report.fallback_reasons.values()) == [1] and reason in next(iter(report.fallback_reasons))
    assert report.fallback_kinds == {NETWORK if how == "raise" else NOT_FINITE: 1}
    assert report.as_dict()["fallback_reasons"] == report.fallback_reasons
    assert reason in caplog.text


@pytest.mark.parametrize(
    ("error", "reason", "kind"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            "memory on the GPU",
            OUT_OF_MEMORY,
        ),
        (RuntimeError(IN_SCRIPT), "out of memory on the GPU", OUT_OF_MEMORY),
        (MemoryError(), "out of memory", OUT_OF_MEMORY),
        (RuntimeError(CUDA), "illegal memory access", GPU_LOST),
        (ModelError("the file is gone", "a file", "copy it"), "the file is gone", NO_MODEL),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError", NETWORK),
    ],
    ids=["memory of the GPU", "the same in TorchScript", "memory", "GPU", "model gone", "anything"],
)
def test_whatever_the_forward_raises_the_scan_goes_on(
    conventional_model: Any, error: Exception, reason: str, kind: str
) -> None:
    found, report = outputs(Raises(conventional_model, error, 1, 2))
    # out of memory is tried once more: the second call is of the same slice, and fails again
    retried = "GPU" in reason
    assert [is_fallback(image) for image in found] == (
        [False, True, False] if retried else [False, True, True]
    )
    assert marked(found[1], CG_SENSE, reason)
    assert report.fallbacks == (1 if retried else 2)
    assert report.fallback_kinds == report.as_dict()["fallback_kinds"] == {kind: report.fallbacks}


def test_memory_that_is_there_after_the_cache_was_emptied_costs_nothing(conventional_model: Any) -> None:
    found, report = outputs(Raises(conventional_model, torch.OutOfMemoryError("CUDA out of memory"), 1))
    expected, _ = outputs(conventional_model)
    assert report.fallbacks == 0
    assert all(np.array_equal(a.data, b.data) for a, b in zip(found, expected, strict=True))


def test_a_server_that_stops_is_no_failure_of_the_network(conventional_model: Any) -> None:
    stopped = StreamError("a server that is being stopped", "a turn", "send the scan again")
    with pytest.raises(StreamError):
        outputs(Raises(conventional_model, stopped, 1))


def test_strict_keeps_the_network_within_its_trained_range(conventional_model: Any) -> None:
    trained = conventional_model.card.trained_range.model_copy(update={"acceleration": (3.0, 5.0)})
    conventional_model.card = conventional_model.card.model_copy(update={"trained_range": trained})
    never = Raises(conventional_model, AssertionError("the network was run"), 0, 1, 2)
    found, report = outputs(never, strict=True)
    assert all(marked(image, CG_SENSE, "strict: acceleration") for image in found)
    assert report.fallback_kinds == {STRICT: SLICES}
    loose, lenient = outputs(conventional_model, strict=False)
    assert lenient.fallbacks == 0 and all(
        "outside the trained range" in i.meta["ImageComments"] for i in loose
    )
