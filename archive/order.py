"""What is to be done with every scan: pipeline, model, kinds of files; and the hash that tells one order from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import yaml

from smug_recon import __version__
from smug_recon.errors import ModelError
from smug_recon.pipeline import Pipeline, pipeline_of
from smug_recon.replay.host.configuration import configuration_element
from smug_recon.replay.reading.fingerprint import fingerprint


@dataclass(frozen=True)
class Outputs:
    """Which files are written beside ``images.h5``, as ``smug-recon replay`` has them."""

    dicom: bool = True
    preview: bool = True
    nifti: bool = False
    enhanced: bool = False
    anonymise: bool = False


@dataclass(frozen=True)
class Order:
    """What holds for all scans of an archive.

    ``own_settings``: spools are reconstructed with the settings of their sessions, as ``replay`` does without ``-c``.
    """

    pipeline: Pipeline
    outputs: Outputs = Outputs()
    overrides: Mapping[str, str] = field(default_factory=dict)
    own_settings: bool = True

    def wanted(self, spool: bool = False) -> str:
        """SHA-256 of everything that the result depends on beside the raw data and the version of the software."""
        if spool and self.own_settings:
            settings = {"settings": "session", "overrides": dict(self.overrides)}
        else:
            settings = {"pipeline": self.pipeline.sha256, "model": self.pipeline.model.sha256}
        return hashlib.sha256(
            json.dumps({**settings, "outputs": asdict(self.outputs)}, sort_keys=True).encode()
        ).hexdigest()

    @property
    def version(self) -> str:
        """The version of this software."""
        return __version__

    def settings_yaml(self) -> str:
        """The pipeline as a file for a worker, with the model beside it."""
        settings = self.pipeline.model_dump(mode="json")
        settings["model"]["file"] = "model.pt"
        settings["spool"]["folder"] = None
        return yaml.safe_dump(settings, sort_keys=False)

    def model(self) -> bytes:
        """The bytes of the model file; ModelError unless they have the hash that the pipeline names."""
        path, wanted = self.pipeline.model_path, self.pipeline.model.sha256
        found = fingerprint(path).get("sha256", "no file")
        if found != wanted:
            if self.pipeline.without_model == "conventional":
                return b""
            raise ModelError(
                f"{path.name} with SHA-256 {found}",
                f"{wanted}, as the pipeline says",
                "copy the model file again, or put the hash of the wanted model into the pipeline",
            )
        return path.read_bytes()


def order_of(pipeline: str | None, overrides: Mapping[str, str], outputs: Outputs = Outputs()) -> Order:
    """The order of the command line, the pipeline checked; ConfigurationError."""
    settings = pipeline_of(configuration_element(pipeline, overrides))
    return Order(settings, outputs, dict(overrides), own_settings=pipeline is None)
