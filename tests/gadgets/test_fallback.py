"""Always an image: what the network does wrong costs a slice its network, never the scan, and the image says so."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
import pytest
import simulated
import torch
from small_scan import SmallScan, header
from test_model import CARD
from test_unroll import full_slice
from torch import Tensor

from smug_recon.errors import ModelError, StreamError
from smug_recon.gadgets import unroll as stage
from smug_recon.gadgets.fallback import CG_SENSE, RSS, conventional, root_sum_of_squares, short
from smug_recon.gadgets.guard import Guarded
from smug_recon.gadgets.model import Model, load_model
from smug_recon.gadgets.stream import prepare, run
from smug_recon.gadgets.timing import Report
from smug_recon.pipeline import load_pipeline
from smug_recon.replay.offline import is_fallback
from smug_recon.scanner.models import Models

SLICES = 3
CUDA = "CUDA error: an illegal memory access was encountered\nCompile with `TORCH_USE_CUDA_DSA`"
IN_SCRIPT = "The following operation failed in the TorchScript interpreter.\nTraceback\nRuntimeError: CUDA out of memory."


class Gives(torch.nn.Module):
    """A model file that is NaN, infinite, of a wrong shape, or raises, when asked for its second slice on."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.calls = 0

    def forward(
        self, kspace_bcyx: Tensor, maps_bcyx: Tensor, mask: Tensor, seed: int, samples: int
    ) -> tuple[Tensor, Tensor]:
        self.calls += 1
        images = torch.fft.ifft(kspace_bcyx * mask[:, None, :, None], dim=2)
        image_byx = (maps_bcyx.conj() * images).sum(1)
        spread_byx = torch.ones_like(image_byx.real)
        if self.calls == 2:
            if self.how == "nan":
                image_byx = image_byx * float("nan")
            elif self.how == "inf":
                image_byx = image_byx + float("inf")
            else:
                raise RuntimeError("a fault inside the network")
        return image_byx, spread_byx


def written(folder: Path, how: str) -> tuple[Path, str]:
    """Export a failing network as TorchScript, with its card; its hash."""
    path = folder / "failing.pt"
    wide = {**CARD["trained_range"], "matrix_yx": [[1, 999], [1, 999]], "acceleration": [1, 99]}
    card = {**CARD, "trained_range": {**wide, "calibration_lines": [1, 99]}}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit", category=DeprecationWarning)
        files = {"card.json": json.dumps(card).encode()}
        torch.jit.save(torch.jit.script(Gives(how)), str(path), _extra_files=files)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


class Raises:
    """A stand-in that raises in the slices given, otherwise does as the model it stands in for."""

    def __init__(self, model: Any, error: Exception, *slices: int) -> None:
        self.model, self.error, self.slices = model, error, slices
        self.calls = -1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def forward(self, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls in self.slices:
            raise self.error
        return self.model.forward(*arguments)


def scan(**settings: Any) -> list[Any]:
    made = SmallScan()
    made.add_noise_scan()
    for index in range(SLICES):
        made.add_slice(index)
    return made.readouts


def outputs(model: Any, **overrides: Any) -> tuple[list[ismrmrd.Image], Report]:
    found: list[Any] = []
    pipeline = load_pipeline().with_overrides(overrides)
    report = run(scan(), found.append, header(slices=SLICES), pipeline, model)
    return found, report


def marked(image: ismrmrd.Image, method: str, reason: str) -> bool:
    """Whether an image says everywhere that something stands in for it, and why."""
    meta = image.meta
    assert f"FALLBACK {method}" in meta["SeriesDescription"], meta["SeriesDescription"]
    assert f"FALLBACK {method}" in meta["GADGETRON_SeriesDescription"]
    assert reason in meta["ImageComments"] and f"FALLBACK to {method}" in meta["ImageComments"]
    assert meta["SmugFallback"] == method and reason in meta["SmugFallbackReason"]
    assert is_fallback(image)
    return True


def plain(image: ismrmrd.Image) -> bool:
    return not is_fallback(image) and "SmugFallback" not in image.meta and "FALLBACK" not in str(image.meta)


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
    assert report.as_dict()["fallback_reasons"] == report.fallback_reasons
    assert reason in caplog.text


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory on the GPU"),
        (RuntimeError(IN_SCRIPT), "out of memory on the GPU"),
        (MemoryError(), "out of memory"),
        (ModelError("the file is gone", "a file", "copy it"), "the file is gone"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError"),
    ],
    ids=["memory of the GPU", "the same in TorchScript", "memory", "model gone", "anything"],
)
def test_whatever_the_forward_raises_the_scan_goes_on(
    conventional_model: Any, error: Exception, reason: str
) -> None:
    found, report = outputs(Raises(conventional_model, error, 1, 2))
    # out of memory is tried once more: the second call is of the same slice, and fails again
    retried = "GPU" in reason
    assert [is_fallback(image) for image in found] == (
        [False, True, False] if retried else [False, True, True]
    )
    assert marked(found[1], CG_SENSE, reason)
    assert report.fallbacks == (1 if retried else 2)


def test_memory_that_is_there_after_the_cache_was_emptied_costs_nothing(conventional_model: Any) -> None:
    found, report = outputs(Raises(conventional_model, torch.OutOfMemoryError("CUDA out of memory"), 1))
    expected, _ = outputs(conventional_model)
    assert report.fallbacks == 0
    assert all(np.array_equal(a.data, b.data) for a, b in zip(found, expected, strict=True))


def test_a_server_that_stops_is_no_failure_of_the_network(conventional_model: Any) -> None:
    stopped = StreamError("a server that is being stopped", "a turn", "send the scan again")
    with pytest.raises(StreamError):
        outputs(Raises(conventional_model, stopped, 1))


class OnGpu(Raises):
    """A stand-in whose GPU is lost from some slice on; ``on_cpu`` gives the model itself."""

    def on_cpu(self, why: str) -> Any:
        twin = Raises(self.model, self.error)
        twin.moved = why  # type: ignore[attr-defined]
        return twin


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


def test_a_model_file_that_is_gone_or_swapped_after_the_start_changes_nothing(tmp_path: Path) -> None:
    path, digest = written(tmp_path, "nan")
    model, again = load_model(path, digest, "cpu"), load_model(path, digest, "cpu")
    expected, _ = outputs(model)
    path.write_bytes(b"another file")
    found, report = outputs(again)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(found, expected, strict=True))
    assert report.fallbacks == 1  # its second slice, as before


def test_cg_sense_that_fails_is_replaced_by_the_root_sum_of_squares(
    conventional_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Tensor:
        raise RuntimeError("no iteration")

    monkeypatch.setattr(stage, "cg_sense", fails)
    conventional_model.broken = True
    found, report = outputs(conventional_model, **{"images.conventional": True})
    assert len(found) == 2 * SLICES
    assert all(marked(image, RSS, "not finite") for image in found[0::2])
    assert all(marked(image, RSS, "no iteration") for image in found[1::2])
    assert all("undersampling is not resolved" in image.meta["ImageComments"] for image in found)
    assert report.fallbacks == SLICES
    assert all(image.data.any() for image in found)


def test_the_root_sum_of_squares_of_a_full_slice_is_its_image() -> None:
    item, truth_yx = full_slice()
    found = root_sum_of_squares(item.kspace_cyx[None], [2])[0]
    assert torch.allclose(found.real, truth_yx, atol=1e-5) and not bool(found.imag.any())


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 3e38])
def test_the_last_resort_is_finite_whatever_comes_in(bad: float) -> None:
    item, truth_yx = full_slice()
    item.kspace_cyx[1, 5, 7] = bad

    def solve(where: torch.device) -> Tensor:
        return torch.full((1, *truth_yx.shape), float("nan"), dtype=torch.complex64)

    image_byx, method, why = conventional(item.kspace_cyx[None], [2], solve, torch.device("cpu"))
    assert method == RSS and "not finite" in why
    assert bool(torch.isfinite(image_byx.abs()).all()) and bool(image_byx.any())


def test_strict_keeps_the_network_within_its_trained_range(conventional_model: Any) -> None:
    trained = conventional_model.card.trained_range.model_copy(update={"acceleration": (3.0, 5.0)})
    conventional_model.card = conventional_model.card.model_copy(update={"trained_range": trained})
    never = Raises(conventional_model, AssertionError("the network was run"), 0, 1, 2)
    found, report = outputs(never, strict=True)
    assert all(marked(image, CG_SENSE, "strict: acceleration") for image in found)
    assert report.fallbacks == SLICES
    loose, lenient = outputs(conventional_model, strict=False)
    assert lenient.fallbacks == 0 and all(
        "outside the trained range" in i.meta["ImageComments"] for i in loose
    )


@pytest.mark.parametrize("wrong", ["hash", "file"])
def test_a_wrong_model_at_the_start_is_refused_unless_the_pipeline_wants_an_image(
    tmp_path: Path, wrong: str
) -> None:
    path, digest = written(tmp_path, "nan")
    if wrong == "hash":
        path.write_bytes(b"another file")
    else:
        path.unlink()
    settings = {"model.file": str(path), "model.sha256": digest, "device": "cpu"}
    with pytest.raises(ModelError):
        outputs(None, **settings)
    found, report = outputs(None, **settings, without_model="conventional")
    assert all(marked(image, CG_SENSE, "no model") for image in found)
    assert report.fallbacks == SLICES == len(found)
    assert str(tmp_path) not in found[0].meta["ImageComments"]


def test_reasons_are_one_short_line() -> None:
    assert short(RuntimeError(CUDA)) == f"RuntimeError: {CUDA.splitlines()[0]}"
    assert short(RuntimeError(IN_SCRIPT)) == "out of memory on the GPU"
    assert short(ValueError()) == "ValueError: no message"
    assert len(short(ValueError("x" * 999))) == 160


def test_the_frames_of_a_failure_are_let_go_before_the_next_try() -> None:
    """A traceback holds the tensors of the failed run, and with them the memory that the next try needs."""
    import gc
    import weakref

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

    assert Guarded(object(), Report()).attempt(work)[1] == ""  # type: ignore[arg-type]


SLAB: dict[str, Any] = {"matrix_xy": (32, 48), "matrix_z": 8, "thickness_mm": 8.0, "oversampling": 1}
POISSON = {**SLAB, "acceleration": 2.0, "pattern": "poisson", "acs": 8}


def test_positions_of_a_slab_fall_back_alone(conventional_model: Any) -> None:
    """One batch of positions raises: its columns are those of CG-SENSE, the others those of the network."""
    raw = simulated.scan(**POISSON)
    settings = {"images.conventional": True, "images.type": "complex64", "images.uncertainty": True}

    def run_with(model: Any) -> Any:
        items, head = simulated.readouts_of(raw), simulated.header_of(raw)
        return simulated.reconstructed(items, head, model, **settings)

    found = run_with(Raises(conventional_model, ValueError("a fault"), 1))
    whole = run_with(conventional_model)
    assert [image.image_series_index for image in found.images] == [1] * 8 + [2] * 8
    assert [image.image_series_index for image in whole.images] == [1] * 8 + [2] * 8 + [3] * 8
    assert all(marked(image, CG_SENSE, "a fault") and plain(other) for image, other in pairs(found.images))
    assert found.report.fallbacks == 1
    for z in range(8):
        smug, beside, expected = (
            i.data[0, 0] for i in (found.images[z], found.images[8 + z], whole.images[z])
        )
        assert np.array_equal(smug[:, 8:16], beside[:, 8:16])
        assert np.array_equal(smug[:, 16:], expected[:, 16:]) and np.array_equal(smug[:, :8], expected[:, :8])


def pairs(images: list[ismrmrd.Image]) -> Any:
    return zip(images[:8], images[8:16], strict=True)


def test_a_slab_sampled_in_two_dimensions_is_outside_the_trained_range(conventional_model: Any) -> None:
    raw = simulated.scan(**POISSON)
    never = Raises(conventional_model, AssertionError("the network was run"), *range(99))
    items, head = simulated.readouts_of(raw), simulated.header_of(raw)
    found = simulated.reconstructed(items, head, never, strict=True)
    assert all(marked(image, CG_SENSE, "strict: two-dimensional") for image in found.images)
    assert found.report.fallbacks == 1 and found.nrmse(raw.truth.whitened_syx) < 0.2


def test_a_partition_that_falls_back_keeps_no_map_of_the_others(conventional_model: Any) -> None:
    raw = simulated.scan(**{**SLAB, "acceleration": 1.0, "calibration": "none"})
    items, head = simulated.readouts_of(raw), simulated.header_of(raw)
    model = Raises(conventional_model, ValueError("a fault"), 3)
    found = simulated.reconstructed(items, head, model, **{"images.uncertainty": True})
    maps = [image.slice for image in found.images if image.image_series_index == 3]
    assert [image.slice for image in found.images if image.image_series_index == 1] == list(range(8))
    assert maps == [0, 1, 2, 4, 5, 6, 7]
    assert [is_fallback(image) for image in found.images[:8]] == [z == 3 for z in range(8)]


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


def test_a_stand_in_for_a_model_is_not_kept_by_the_server(tmp_path: Path) -> None:
    path, digest = written(tmp_path, "nan")
    content = path.read_bytes()
    path.unlink()
    settings = {"model.file": str(path), "model.sha256": digest, "device": "cpu"}
    pipeline = load_pipeline().with_overrides({**settings, "without_model": "conventional"})
    models = Models()
    assert models.get(pipeline).sha256 == "none" and models.count == 0
    with pytest.raises(ModelError):
        models.get(load_pipeline().with_overrides(settings))
    path.write_bytes(content)
    assert models.get(pipeline).sha256 == digest and models.count == 1
