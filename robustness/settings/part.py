"""What every part of the config has: unknown keys are refused, nothing changes after reading."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of the config."""

    model_config = ConfigDict(extra="forbid", frozen=True)
