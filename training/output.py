"""Where a long run computes and writes: refused with a reason before it has begun, or when the disk says no."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from smug_recon.errors import ConfigurationError, OutputError
from smug_recon.whole_file import whole_file


def require_device(device: str) -> None:
    """Refuse a device that this machine does not have.

    Raises:
        ConfigurationError: neither cpu nor cuda, or cuda without a GPU that this torch can use.
    """
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = ""
    if kind not in ("cpu", "cuda"):
        raise ConfigurationError(f"device {device!r}", "cpu or cuda", "choose one of them")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError(
            "no GPU that this torch can use",
            f"one, for device {device}",
            "take --device cpu, or install torch for CUDA and the driver of the GPU",
        )


@contextmanager
def written(place: Path) -> Iterator[None]:
    """Turn what the disk refuses into an OutputError that names the folder or file."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{place}, which cannot be written ({error.strerror or error})",
            "a place with room that may be written to",
            "make room or choose another; the same call goes on from what is there",
        ) from error


def write_whole(path: Path, content: bytes | memoryview, shared: bool = False) -> None:
    """Write a file so that a kill or a full disk at any moment leaves all of it, or what was there (:mod:`smug_recon.whole_file`).

    Raises:
        OutputError: the disk is full, read-only or not ours.
    """
    with written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, shared) as unfinished:
            unfinished.write_bytes(content)
