"""Networks that fail, a scan to send through them, and what a fallback says on its image."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import ismrmrd
import torch
from small_card import CARD
from small_scan import header, whole_scan
from torch import Tensor

from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline
from smug_recon.replay.offline import is_fallback

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


class OnGpu(Raises):
    """A stand-in whose GPU is lost from some slice on; ``on_cpu`` gives the model itself."""

    def on_cpu(self, why: str) -> Any:
        twin = Raises(self.model, self.error)
        twin.moved = why  # type: ignore[attr-defined]
        return twin


def outputs(model: Any, **overrides: Any) -> tuple[list[ismrmrd.Image], Report]:
    found: list[Any] = []
    pipeline = load_pipeline().with_overrides(overrides)
    report = run(whole_scan(SLICES).readouts, found.append, header(slices=SLICES), pipeline, model)
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
