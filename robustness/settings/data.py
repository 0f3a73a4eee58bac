"""Which slices are evaluated, and where they come from."""

from __future__ import annotations

from pathlib import Path

from pydantic import model_validator

from smug_recon.robustness.settings.part import Part


class DataSettings(Part):
    """Which slices: ``per_subject`` of every subject of ``split``, spread over its volumes; at most ``limit``, subjects in turn.

    ``slices``: a slice file, scans are simulated from it. ``raw``: instead, a folder of fully sampled raw files (fastMRI or ISMRMRD
    HDF5), every file taken for a subject; they are read once into ``cache`` (by default ``.cache`` beside the folder).
    """

    slices: Path | None = None
    raw: Path | None = None
    cache: Path | None = None
    split: str = "test"
    tuning_split: str = "val"
    tuning_slices: int = 6
    per_subject: int = 8
    limit: int | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _one_source(self) -> DataSettings:
        if (self.slices is None) == (self.raw is None):
            raise ValueError("data: either slices or raw")
        return self

    @property
    def name(self) -> str:
        """What the column ``data`` says."""
        return f"{self.raw.name}:raw" if self.raw is not None else f"{self.slices.stem}:{self.split}"  # type: ignore[union-attr]
