"""The device that the network runs on."""

from __future__ import annotations

import torch

from smug_recon.errors import ConfigurationError


def choose_device(name: str) -> torch.device:
    """The device for ``auto`` (a GPU if there is one), ``cpu``, ``cuda``; ConfigurationError if it lacks."""
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigurationError(f"device = {name!r}", "auto, cpu or cuda", "mend the pipeline file")
    if name == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    if name == "auto":
        return torch.device("cpu")
    built = f"torch {torch.__version__} " + ("sees none" if torch.version.cuda else "is built without CUDA")
    raise ConfigurationError(
        f"device = 'cuda' and no GPU ({built})",
        "a CUDA GPU with its driver, and a torch built for it",
        "set device to auto or cpu, or mend driver and torch on this machine",
    )
