"""The network of one scan, watched: what it raises costs a slice its network, never the scan; a lost GPU costs speed.

After a CUDA error the context of the process is poisoned: every later call on that device fails. The model is then
loaded on the CPU from the bytes that were hashed at the start (the file may be gone by now), the slice is computed
again there, and the rest of the scan stays there. Out of memory is no loss of the device: the cache is emptied, the
slice tried once more, then given up. A device that does not answer at all counts as lost (``answered.py``).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch

from smug_recon.errors import ModelError, SmugReconError
from smug_recon.gadgets.flow.kinds import GPU_LOST, NETWORK, NO_MODEL, OUT_OF_MEMORY, Failure
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.model.answered import SILENT, answered
from smug_recon.gadgets.model.card import Card
from smug_recon.gadgets.model.file import Model
from smug_recon.gadgets.model.reasons import is_out_of_memory, short

log = logging.getLogger(__name__)

Result = TypeVar("Result")

#: what the errors of a device say that is gone; matched in lower case
LOST = (
    "cuda error",
    "cuda driver",
    "cudnn_status",
    "cublas_status",
    "cufft_",
    "no cuda gpus",
    "nvml",
    SILENT,
)


class Guarded:
    """A model behind :meth:`attempt`; ``device`` is where it is now, ``note`` what to say of it on every image."""

    def __init__(self, model: Model, report: Report) -> None:
        self.model, self._report = model, report
        self.note: str = getattr(model, "moved", "")

    @classmethod
    def of(cls, model: Model | Guarded, report: Report) -> Guarded:
        """The guard of a model; a guard as it is."""
        return model if isinstance(model, Guarded) else cls(model, report)

    @property
    def card(self) -> Card:
        """The card of the model."""
        return self.model.card

    @property
    def sha256(self) -> str:
        """The hash of the model file."""
        return self.model.sha256

    @property
    def device(self) -> torch.device:
        """Where the network runs now."""
        return self.model.device

    def attempt(self, work: Callable[[Model], Result]) -> tuple[Result | None, Failure | None]:
        """Return what ``work`` makes of the model, or None and why there is nothing.

        ``work`` brings its result to the CPU itself: errors of a GPU come to light when it is waited for. Errors of
        this package that are not about the model (a server that stops, a broken stream) go through.
        """
        emptied = False
        while True:
            try:
                with torch.inference_mode():
                    return answered(partial(work, self.model), self.device), None
            except Exception as error:
                if isinstance(error, SmugReconError) and not isinstance(error, ModelError):
                    raise
                reason, missing = short(error), isinstance(error, ModelError)
                memory = is_out_of_memory(error)
                no_memory = memory or isinstance(error, MemoryError)
                lost = not memory and is_lost(error, self.device)
            log.warning("the network failed: %s", reason)  # outside except: its frames hold memory of the GPU
            if memory and not emptied:
                emptied = True
                with contextlib.suppress(Exception):
                    torch.cuda.empty_cache()
                continue
            if lost and self._to_cpu(reason):
                continue
            kind = OUT_OF_MEMORY if no_memory else GPU_LOST if lost else NO_MODEL if missing else NETWORK
            return None, Failure(f"the network failed: {reason}", kind)

    def _to_cpu(self, reason: str) -> bool:
        """Go on with the same model on the CPU; False if it is there already or cannot be."""
        moved = on_cpu(self.model, reason)
        if moved is None:
            return False
        self.model, self.note = moved, moved.moved
        self._report.warn(self.note)
        return True


def on_cpu(model: Model, reason: str) -> Model | None:
    """The same model on the CPU, its ``moved`` saying why; None if it is there already or cannot be had."""
    if getattr(model, "moved", "") or not hasattr(model, "on_cpu"):
        return None
    try:
        moved: Model = model.on_cpu(f"GPU lost ({reason}): the rest of the scan is computed on the CPU")
        return moved
    except Exception as error:  # the slices are reconstructed without the network
        log.error("the model cannot be had on the CPU: %s", error)
        return None


def warmed_up(model: Model, sizes: tuple[int, int, int, int]) -> Model:
    """Run a model twice on zeros of (coils, lines, readout, samples) and return it, or its twin on the CPU if its GPU is lost.

    What else goes wrong goes wrong again at the first slice, and is said there.
    """
    try:
        for _ in range(2):
            answered(partial(model.warm_up, *sizes), model.device)
    except Exception as error:
        if isinstance(error, SmugReconError) and not isinstance(error, ModelError):
            raise
        reason = short(error)
        log.warning("the warm-up of the network failed: %s", reason)
        if not is_out_of_memory(error) and is_lost(error, model.device):
            return on_cpu(model, reason) or model
    return model


def is_lost(error: BaseException, device: torch.device) -> bool:
    """Whether an error says, or a probe finds, that the device is gone for this process."""
    text = str(error).lower()
    if any(sign in text for sign in LOST):
        return True
    if device.type != "cuda":
        return False
    try:
        return answered(lambda: float(torch.ones(8, device=device).sum().item()) != 8.0, device)
    except Exception as found:
        return not is_out_of_memory(found)
