"""The model of a pipeline, or, where the pipeline allows it, what stands in for a model that cannot be loaded.

A model file that is missing or has another hash at the start is an error of configuration, found by ``smug-recon
check`` before a patient lies on the table: the scan is refused, so that nobody works for weeks with another
reconstruction than he thinks. A site that would rather have a conventional image says ``without_model: conventional``;
then every image is CG-SENSE, marked as a fallback with the reason. Nothing of a file with another hash is run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from smug_recon.errors import ModelError
from smug_recon.gadgets.model import file as model_file
from smug_recon.gadgets.model.card import FORMAT, Card, TrainedRange
from smug_recon.gadgets.model.device import choose_device
from smug_recon.gadgets.model.file import Model
from smug_recon.pipeline import Pipeline

log = logging.getLogger(__name__)

EVERYTHING = (0.0, 1e9)


def model_of(pipeline: Pipeline, load: Callable[[Path, str, str], Model] | None = None) -> Model:
    """The model that the pipeline names, or its stand-in; ModelError, ConfigurationError.

    ``load`` in the place of :func:`smug_recon.gadgets.model.file.load_model`.
    """
    try:
        load = load or model_file.load_model
        return load(pipeline.model_path, pipeline.model.sha256, pipeline.device)
    except ModelError as error:
        if pipeline.without_model == "refuse":
            raise
        log.error("no model: %s", error)
        found = error.found.replace(f"{pipeline.model_path.parent}/", "")
        return absent(pipeline, f"no model: {found}")


def absent(pipeline: Pipeline, why: str) -> Model:
    """A model whose every run is a ModelError that says why there is none."""
    return Model(_Nothing(why), _card(), "none", choose_device(pipeline.device))


def is_absent(model: Model) -> bool:
    """Whether a model is a stand-in for one that could not be loaded."""
    return isinstance(getattr(model, "module", None), _Nothing)


class _Nothing:
    def __init__(self, why: str) -> None:
        self.why = why

    def __call__(self, *arguments: Any) -> tuple[torch.Tensor, torch.Tensor]:
        raise ModelError(self.why, "the model of the pipeline", "mend model.file and model.sha256")


def _card() -> Card:
    trained = TrainedRange(
        anatomy="none",
        contrasts="none",
        matrix_yx=(EVERYTHING, EVERYTHING),
        coils=EVERYTHING,
        acceleration=EVERYTHING,
        calibration_lines=EVERYTHING,
        patterns="none",
    )
    return Card(
        format=FORMAT,
        name="none",
        version="none",
        method="none",
        denoiser="none",
        steps=1,
        lam=0.0,  # type: ignore[call-arg]
        sigma=0.0,
        samples=0,
        sampling="none",
        scaling="none",
        trained_range=trained,
        training_data=[],
        metrics={},
        commit="none",
        parameters=0,
    )
