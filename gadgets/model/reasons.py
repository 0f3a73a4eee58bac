"""What an error of a device, of TorchScript or of anything else says, in one line that fits on an image."""

from __future__ import annotations

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU had no memory left; TorchScript turns that into a plain RuntimeError, the text remains."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text and "cuda" in text


def short(error: BaseException) -> str:
    """An error in one line of at most 160 characters, fit for an image comment."""
    if isinstance(error, MemoryError) or is_out_of_memory(error):
        return "out of memory" + (" on the GPU" if is_out_of_memory(error) else "")
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    in_script = lines[0].startswith("The following operation failed")  # TorchScript puts the cause last
    line = next((line for line in lines if "CUDA error" in line), lines[-1 if in_script else 0])
    text = line if in_script else f"{type(error).__name__}: {line}"
    text = text.removeprefix("builtins.")
    return text.encode("ascii", "replace").decode("ascii")[:160]
