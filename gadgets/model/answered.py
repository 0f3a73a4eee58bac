"""Work on a GPU, waited for no longer than a set time: a device that hangs cannot be interrupted, only left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import torch

from smug_recon.errors import ModelError

Result = TypeVar("Result")

ANSWER_S = 300.0
"""How long a GPU may take over one slice, the wait for its turn included; then it counts as lost."""
SILENT = "no answer of the device"


def answered(work: Callable[[], Result], device: torch.device, seconds: float | None = None) -> Result:
    """Return what ``work`` gives; on a GPU from a thread of its own, which is left behind when the time is over.

    Raises:
        ModelError: no answer in time. What ``work`` raises is raised here.
    """
    if device.type == "cpu":
        return work()
    seconds = ANSWER_S if seconds is None else seconds
    found: list[Result] = []
    failed: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            with torch.inference_mode():
                found.append(work())
        except BaseException as error:  # raised again where it is waited for
            failed.append(error)
        finally:
            done.set()

    threading.Thread(target=run, name="on the GPU", daemon=True).start()
    if not done.wait(seconds):
        raise ModelError(
            f"{SILENT} within {seconds:g} s", "an answer of the GPU", "look at nvidia-smi and the system log"
        )
    try:
        if failed:
            raise failed[0]
    finally:
        failed.clear()  # its frames hold memory of the GPU
    return found[0]
