"""The one place that loads TorchScript: the model file with its hash and its card, checked before it runs."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import threading
import time
import warnings
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from smug_recon.errors import ModelError
from smug_recon.gadgets.model.card import FORMAT, Card
from smug_recon.gadgets.model.device import choose_device

LARGEST_FILE = 2**31
LARGEST_CARD = 2**20
"""Larger files and cards are refused, in bytes."""

_MOVING = threading.Lock()

ARGUMENTS = ("kspace_bcyx", "maps_bcyx", "mask", "seed", "samples")


@dataclass(frozen=True)
class Model:
    """A loaded model: call ``forward``; ``card`` and ``sha256`` say which one it is.

    ``content`` are the bytes that were hashed, kept where the device is a GPU that may be lost; ``moved`` says why a
    model is on the CPU that was loaded elsewhere.
    """

    module: Any
    card: Card
    sha256: str
    device: torch.device
    content: bytes = field(default=b"", repr=False, compare=False)
    moved: str = ""
    _twins: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @torch.inference_mode()
    def forward(
        self, kspace_bcyx: Tensor, maps_bcyx: Tensor, mask: Tensor, seed: int, samples: int
    ) -> tuple[Tensor, Tensor]:
        """Reconstruct slices: ``image_byx`` complex64 and ``spread_byx`` float32, in the units of the input.

        ``mask_by`` goes with hybrid space (ky, x), ``mask_byx`` with k-space (ky, kx); inputs of any device.
        """
        inputs = (kspace_bcyx.to(self.device), maps_bcyx.to(self.device), mask.to(self.device))
        image_byx, spread_byx = self.module(*inputs, int(seed), int(samples))
        return image_byx, spread_byx

    def on_cpu(self, why: str) -> Model:
        """The same model on the CPU, loaded from the bytes in memory and kept; ``moved`` is the first ``why``. ModelError."""
        if self.device.type == "cpu":
            return self
        with _MOVING:
            if "cpu" not in self._twins:
                cpu = torch.device("cpu")
                module = _module(self.content, cpu, f"the model {self.card.name}")
                self._twins["cpu"] = replace(
                    self, module=module, device=cpu, content=b"", moved=why, _twins={}
                )
            twin: Model = self._twins["cpu"]
            return twin

    def warm_up(self, coils: int, lines_y: int, readout_x: int, samples: int) -> float:
        """Run once on zeros of the size to come, which the first slice would pay for; return the seconds."""
        start = time.perf_counter()
        kspace_bcyx = torch.zeros((1, coils, lines_y, readout_x), dtype=torch.complex64)
        maps_bcyx = torch.full_like(kspace_bcyx, coils**-0.5)
        self.forward(kspace_bcyx, maps_bcyx, torch.ones((1, lines_y)), 0, samples)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - start


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as 64 lower-case hexadecimal digits; ModelError if it cannot be read."""
    return hashlib.sha256(_content(Path(path))).hexdigest()


def read_card(path: Path) -> Card:
    """The card of a model file, read without running anything of it; ModelError."""
    path = Path(path)
    return _card(_content(path), path)


def load_model(path: Path, sha256: str, device: str | torch.device = "auto") -> Model:
    """Load a model file whose SHA-256 and card fit; nothing of a file with another hash is run. ModelError.

    The bytes that are hashed are the bytes that are loaded.
    """
    path = Path(path)
    where = device if isinstance(device, torch.device) else choose_device(device)
    content = _content(path)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256.lower():
        raise ModelError(
            f"SHA-256 {found} of {path.name}{_damage(content)}",
            f"{sha256.lower()}, as the pipeline says",
            "copy the model file again, or, if this is the wanted model, put its hash into the pipeline "
            "(smug-recon model prints it)",
        )
    card = _card(content, path)
    return Model(
        _module(content, where, path.name), card, found, where, content if where.type != "cpu" else b""
    )


def _module(content: bytes, where: torch.device, name: str) -> Any:
    """The TorchScript module of a model file in memory, frozen, on a device; ModelError."""
    try:
        with warnings.catch_warnings():  # TorchScript is deprecated in torch 2.13 and works
            warnings.filterwarnings("ignore", message=r".*torch\.jit", category=DeprecationWarning)
            module = torch.jit.load(io.BytesIO(content), map_location=where).eval()
            names = tuple(argument.name for argument in module.forward.schema.arguments[1:])
            module = torch.jit.freeze(module)
    except (RuntimeError, AttributeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{name}, which torch {torch.__version__} cannot load ({reason})",
            "a TorchScript file written by smug-recon export",
            "export the model again, or update torch",
        ) from None
    if len(names) != len(ARGUMENTS):
        raise ModelError(
            f"forward({', '.join(names)}) in {name}",
            f"forward({', '.join(ARGUMENTS)})",
            "export the model again with this version",
        )
    return module


def _content(path: Path) -> bytes:
    try:
        about = path.stat()
        if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):  # reading it might never end
            raise ModelError(
                f"{path.name}, which is no file", "a model file", "check model.file in the pipeline"
            )
        if about.st_size > LARGEST_FILE:
            raise ModelError(
                f"{path.name} of {about.st_size} bytes", f"at most {LARGEST_FILE}", "give a model file"
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"no readable model file {path} ({error.strerror})",
            "a TorchScript file written by smug-recon export",
            "check model.file in the pipeline; a relative path counts from the pipeline file",
        ) from None


def _damage(content: bytes) -> str:
    if content.startswith(b"version https://git-lfs"):
        return " (a Git LFS pointer, not the file itself)"
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return f" ({len(content)} bytes, cut short or no model file)"
    return ""


def _card(content: bytes, path: Path) -> Card:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inside = [name for name in archive.namelist() if name.endswith("/extra/card.json")]
            if inside and archive.getinfo(inside[0]).file_size > LARGEST_CARD:
                raise ModelError(
                    f"a card larger than {LARGEST_CARD} bytes in {path.name}",
                    "a short JSON text",
                    "export it again",
                )
            text = archive.read(inside[0]) if inside else None
    except ModelError:
        raise
    except Exception as error:  # zipfile and the unpackers below it raise whatever comes of the bytes
        raise ModelError(
            f"{path.name}, no whole TorchScript file{_damage(content) or f' ({error})'}",
            "a TorchScript file written by smug-recon export",
            "copy or export it again",
        ) from None
    if text is None:
        raise ModelError(
            f"no card in {path.name}", "card.json in its extra files", "export it with smug-recon export"
        )
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelError(f"a card that is no JSON in {path.name}", "JSON", "export the model again") from None
    version = settings.get("format") if isinstance(settings, dict) else None
    if version != FORMAT:
        raise ModelError(
            f"the model format {version!r} in {path.name}",
            repr(FORMAT),
            "export the model with this version, or install the version that wrote it",
        )
    try:
        return Card.model_validate(settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(step) for step in first["loc"])
        raise ModelError(
            f"a card of {path.name} with {name or 'its content'}: {first['msg'].lower()}",
            f"a complete card of format {FORMAT}",
            "export the model again",
        ) from None
