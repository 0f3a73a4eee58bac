"""The card of a model: JSON inside the TorchScript file: what it is and what it was trained on."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

FORMAT = "smug-recon-model/1"
"""The model file format that this software reads."""

Span = tuple[float, float]
"""Smallest and largest value."""


class TrainedRange(BaseModel):
    """What the model has seen in training; ``matrix_yx`` in samples, ``calibration_lines`` in lines."""

    model_config = ConfigDict(extra="allow", frozen=True)

    anatomy: str | list[str]
    contrasts: str | list[str]
    matrix_yx: tuple[Span, Span]
    coils: Span
    acceleration: Span
    calibration_lines: Span
    patterns: str | list[str]

    @model_validator(mode="after")
    def _ordered(self) -> TrainedRange:
        for low, high in (*self.matrix_yx, self.coils, self.acceleration, self.calibration_lines):
            if low > high:
                raise ValueError(f"a range from {low:g} to {high:g}")
        return self


class DataSource(BaseModel):
    """One source of training data."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    licence: str
    attribution: str


class Card(BaseModel):
    """The card (DESIGN of the model file, docs/architecture.md); unknown further keys are kept and shown."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True, protected_namespaces=())

    format: str
    name: str
    version: str
    method: str
    denoiser: str | dict[str, Any]
    steps: int = Field(ge=1)
    lam: float | list[float] | dict[str, Any] = Field(alias="lambda")
    sigma: float = Field(ge=0)
    samples: int = Field(ge=0)
    sampling: str
    scaling: str
    trained_range: TrainedRange
    training_data: list[DataSource]
    metrics: dict[str, Any]
    commit: str
    parameters: int = Field(ge=0)

    def range_text(self) -> str:
        """The trained range in one line."""
        trained = self.trained_range
        (low_y, high_y), (low_x, high_x) = trained.matrix_yx
        what = trained.anatomy if isinstance(trained.anatomy, str) else ", ".join(trained.anatomy)
        return (
            f"{what}; matrix {low_x:g}-{high_x:g} x {low_y:g}-{high_y:g} (readout x phase), "
            f"{trained.coils[0]:g}-{trained.coils[1]:g} coils, "
            f"acceleration {trained.acceleration[0]:g}-{trained.acceleration[1]:g}, "
            f"{trained.calibration_lines[0]:g}-{trained.calibration_lines[1]:g} calibration lines"
        )

    def few_calibration_lines(self, lines: int) -> list[str]:
        """One sentence if there are fewer calibration lines than in training (more are as good)."""
        fewest = self.trained_range.calibration_lines[0]
        if lines >= fewest:
            return []
        return [f"{lines} calibration lines: the model {self.name} was trained with at least {fewest:g}"]

    def outside_range(self, lines: int, columns: int, coils: int | None, acceleration: float) -> list[str]:
        """One sentence for everything in which a scan leaves the range that the model was trained on."""
        trained = self.trained_range
        values: list[tuple[str, float | None, Span]] = [
            ("phase-encode matrix", lines, trained.matrix_yx[0]),
            ("readout matrix", columns, trained.matrix_yx[1]),
            ("coils", coils, trained.coils),
            ("acceleration", acceleration, trained.acceleration),
        ]
        return [
            f"{what} {value:g}: outside the trained range {low:g} to {high:g} of the model {self.name}"
            for what, value, (low, high) in values
            if value is not None and not low <= value <= high
        ]
