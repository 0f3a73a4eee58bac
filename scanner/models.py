"""The models in memory: each file is loaded once per device, whoever asks for it first."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smug_recon.gadgets.model.file import Model
    from smug_recon.pipeline import Pipeline

log = logging.getLogger(__name__)


class Models:
    """Loads models by file, hash and device, and keeps them."""

    def __init__(self, load: Callable[[Path, str, str], Model] | None = None) -> None:
        self._load = load or _load
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str, str], Model] = {}
        self._lost = ""

    def leave_gpu(self, reason: str) -> None:
        """From now on all models are those on the CPU: every call on a GPU that is lost fails."""
        self._lost = reason

    def get(self, pipeline: Pipeline) -> Model:
        """The model of a pipeline; ModelError, ConfigurationError as :func:`model_of` raises them."""
        from smug_recon.gadgets.model.absent import is_absent, model_of

        key = (str(pipeline.model_path), pipeline.model.sha256, pipeline.device)
        with self._lock:
            if key not in self._held:
                model = model_of(pipeline, self._load_on_cpu if self._lost else self._load)
                if is_absent(model):  # not kept: the file may be mended before the next session
                    return model
                self._held[key] = model
                log.info("loaded %s on %s", pipeline.model_path.name, model.device)
            return self._present(self._held[key], pipeline)

    def _load_on_cpu(self, path: Path, sha256: str, device: str) -> Model:
        return self._load(path, sha256, "cpu")

    def _present(self, model: Model, pipeline: Pipeline) -> Model:
        """The model as it can be run now; where it cannot be had on the CPU, a stand-in that says why."""
        from smug_recon.errors import ModelError
        from smug_recon.gadgets.model.absent import absent

        if not self._lost or model.device.type == "cpu":
            return model
        try:
            return model.on_cpu(self._lost)
        except ModelError as error:
            log.error("the model cannot be had on the CPU: %s", error)
            return absent(pipeline, f"no model: {error.found}")

    @property
    def names(self) -> list[tuple[str, str]]:
        """File name and device of each in memory."""
        return [(Path(file).name, str(model.device)) for (file, *_), model in list(self._held.items())]

    @property
    def count(self) -> int:
        """How many are in memory."""
        return len(self._held)


def _load(path: Path, sha256: str, device: str) -> Model:
    from smug_recon.gadgets.model.file import load_model

    return load_model(path, sha256, device)
