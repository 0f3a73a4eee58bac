"""What one process keeps between jobs: built methods and the scene at hand. It changes no number, only the time."""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from smug_recon.robustness.jobs.job import write_whole
from smug_recon.robustness.methods.loading import build_method
from smug_recon.robustness.methods.method import Method
from smug_recon.robustness.scenes.scene import AnySlice, Scene, draw_scene
from smug_recon.robustness.settings.evaluation import EvaluationConfig
from smug_recon.robustness.settings.methods import MethodSettings
from smug_recon.robustness.settings.scan import ScanSettings

KEPT_SCENES = 4


class Context:
    """Methods by name, scenes by slice and settings, perturbations that several jobs need.

    Args:
        config: with every regularisation tuned. folder: of the results. device: ``cpu`` or ``cuda``.
        built: methods that are there already.
    """

    def __init__(
        self,
        config: EvaluationConfig,
        folder: Path,
        device: str = "cpu",
        built: dict[str, Method] | None = None,
    ) -> None:
        self.config, self.folder, self.device = config, folder, device
        self._methods: dict[str, Method] = dict(built or {})
        self._scenes: OrderedDict[tuple[str, str], Scene] = OrderedDict()

    @property
    def seed(self) -> int:
        """Seed of the smoothing noise in evaluation; attacks draw theirs elsewhere."""
        return self.config.seed

    @property
    def linear(self) -> Method:
        """CG-SENSE."""
        return self.method(self.config.linear)

    def named(self, name: str) -> Method:
        """Return a method of the config."""
        return self.method(next(method for method in self.config.methods if method.name == name))

    def method(self, settings: MethodSettings) -> Method:
        """Return a built method."""
        if settings.name not in self._methods:
            self._methods[settings.name] = build_method(settings, self.device)
        return self._methods[settings.name]

    def scene(self, slice_: AnySlice, scan: ScanSettings) -> Scene:
        """Return a drawn scene on the device."""
        key = (slice_.fingerprint, scan.model_dump_json())
        if key not in self._scenes:
            self._scenes[key] = draw_scene(slice_, scan, self.config.data.seed).to(self.device)
            while len(self._scenes) > KEPT_SCENES:
                self._scenes.popitem(last=False)
        return self._scenes[key]

    def load_perturbation(self, said: str) -> Tensor | None:
        """Return a perturbation that an earlier job found, or None, also where its file is damaged."""
        path = self._perturbation(said)
        if not path.is_file():
            return None
        try:
            found = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        except (ValueError, EOFError):
            return None
        return torch.from_numpy(found).to(self.device)

    def save_perturbation(self, said: str, delta: Tensor) -> None:
        """Keep a perturbation for jobs that transfer it."""
        content = io.BytesIO()
        np.save(content, delta.cpu().numpy(), allow_pickle=False)
        write_whole(self._perturbation(said), content.getvalue())

    def _perturbation(self, said: str) -> Path:
        return self.folder / "perturbations" / f"{hashlib.sha256(said.encode()).hexdigest()[:24]}.npy"
