"""The groups of settings that a pipeline file has, each with its bounds; ``pipeline.py`` puts them together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

Sha256 = Annotated[str, StringConstraints(to_lower=True, strip_whitespace=True, pattern=r"^[0-9a-fA-F]{64}$")]


class Part(BaseModel):
    """A group of settings: unknown keys, NaN and infinity are refused, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelFile(Part):
    """The network: a TorchScript file (a relative path counts from the pipeline file) and its SHA-256."""

    file: Path = Path("models/smug-brain-4x.pt")
    sha256: Sha256


class CoilMaps(Part):
    """ESPIRiT settings (DOI 10.1002/mrm.24751): kernel and calibration width in samples.

    ``folding``: what is done where the head is larger than the field of view (two sets of maps, or a warning
    alone, or it is not looked for).
    """

    kernel: int = Field(6, ge=3, le=12)
    threshold: float = Field(0.02, gt=0, lt=1)
    crop: float = Field(0.0, ge=0, le=1)
    calibration_width: int = Field(24, ge=8, le=128)
    folding: Literal["two-sets", "warn", "ignore"] = "two-sets"


class CoilCompression(Part):
    """Virtual coils: SVD over the scan, or GCC at every readout position (DOI 10.1002/mrm.24267).

    ``channels`` are kept, or as many as hold the share ``energy`` of the calibration data.
    """

    method: Literal["none", "svd", "gcc"] = "none"
    channels: int | None = Field(None, ge=1, le=1024)
    energy: float | None = Field(None, gt=0, le=1)

    @model_validator(mode="after")
    def _one_of_two(self) -> CoilCompression:
        if self.method != "none" and (self.channels is None) == (self.energy is None):
            raise ValueError("either channels or energy with the methods svd and gcc")
        return self


class Images(Part):
    """What leaves the chain: number type, series description, scaling of uint16, further series."""

    type: Literal["uint16", "float32", "complex64"] = "uint16"
    series_description: str = Field("SMUG", min_length=1, max_length=64)
    conventional: bool = False
    uncertainty: bool = False
    peak: int = Field(4095, ge=255, le=65535)
    headroom: float = Field(2.0, ge=1, le=16)


class SpoolSettings(Part):
    """Where the raw data of every session are kept as they arrive (nowhere without ``folder``), how much and how long.

    ``gigabytes`` hold for all spools of the folder, ``session_gigabytes`` for each; after ``days`` those of sessions
    that went well are removed.
    """

    folder: Path | None = None
    gigabytes: float = Field(50.0, gt=0)
    session_gigabytes: float = Field(20.0, gt=0)
    days: float = Field(7.0, ge=0, le=36500)

    @field_validator("folder")
    @classmethod
    def _absolute(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.expanduser().is_absolute():
            raise ValueError("an absolute path")
        return folder
