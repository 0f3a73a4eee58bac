"""What training changes, and one update of it: the loss of a batch, gradients, weights and their average."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from smug_recon.physics import sense_adjoint
from smug_recon.training.adversarial import attacked, drawn, jittered, worst_start
from smug_recon.training.batches import Batch
from smug_recon.training.config import StageConfig, TrainingConfig
from smug_recon.training.distributed import Team
from smug_recon.training.losses import denoising_loss, ustab_loss
from smug_recon.training.psnr import psnr_db
from smug_recon.training.shares import share_gradients
from smug_recon.training.weights import network_of, start_from

log = logging.getLogger(__name__)


def rate_at(stage: StageConfig, update: int) -> float:
    """Return the learning rate of an update: linear warm-up, then the schedule (``flat-linear``: flat for a third)."""
    warm = min(1.0, (update + 1) / max(1, stage.warm_up))
    progress = update / max(1, stage.updates)
    course = {
        "flat": 1.0,
        "linear": 1 - progress,
        "flat-linear": min(1.0, (1 - progress) * 1.5),
        "cosine": 0.5 * (1 + math.cos(math.pi * progress)),
    }
    return warm * (stage.rate_end + (stage.rate - stage.rate_end) * course[stage.schedule])


class Trainer:
    """Holds what training changes, so that it can be saved and restored as a whole."""

    def __init__(
        self, config: TrainingConfig, folder: Path, device: str = "cpu", team: Team | None = None
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.folder, self.device, self.team = config, folder, device, team or Team()
        self.network = network_of(config.network).to(device)
        if config.start is not None:
            start_from(self.network, config.start)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.recompute:
            denoiser: nn.Module = self.network.regulariser.denoiser  # type: ignore[assignment]
            denoiser.forward = partial(recomputed, denoiser.forward, use_reentrant=False)  # type: ignore[method-assign]
        self.averaged = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.stage, self.update = 0, 0
        self.since: tuple[float, float, int] = (
            0.0,
            0.0,
            0,
        )  # sums of loss and PSNR, and updates, since the last line of the curve
        self.draws = config.draws
        self.optimiser = self._optimiser()

    def _optimiser(self) -> torch.optim.Optimizer:
        names = ("log_lambda", "exponent")
        learned = [(name, value) for name, value in self.network.named_parameters() if value.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [value for name, value in learned if name not in names], "factor": 1.0},
            {
                "params": [value for name, value in learned if name in names],
                "factor": self.config.lambda_rate,
            },
        ]
        return torch.optim.Adam(
            [group for group in groups if group["params"]], lr=1e-4, betas=self.config.betas
        )

    def state(self) -> dict[str, Any]:
        """Everything that decides how training goes on."""
        return {
            "network": self.network.state_dict(),
            "averaged": self.averaged,
            "optimiser": self.optimiser.state_dict(),
            "stage": self.stage,
            "update": self.update,
            "since": self.since,
            "draws": self.draws,
            "processes": self.team.size,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.network.load_state_dict(state["network"])
        self.averaged = {name: value.clone() for name, value in state["averaged"].items()}
        factors = [group["factor"] for group in self.optimiser.param_groups]
        self.optimiser.load_state_dict(state["optimiser"])
        for group, factor in zip(self.optimiser.param_groups, factors, strict=True):
            group["factor"] = factor  # the config's, should it have changed
        self.stage, self.update = int(state["stage"]), int(state["update"])
        loss, psnr, count = state.get("since", self.since)
        self.since = (loss, psnr, count)
        self.draws = state.get(
            "draws", "process"
        )  # what it began with; files from before there was a choice do not say
        if self.draws == "process" and state.get("processes", self.team.size) != self.team.size:
            log.warning(
                "the draws of this training hang on the number of processes, which was %d and is %d: it goes on with others",
                state["processes"],
                self.team.size,
            )

    def begin(self, stage: int) -> None:
        """Go on with the next stage; weights and their average stay, the optimiser starts anew."""
        self.stage, self.update, self.since = stage, 0, (0.0, 0.0, 0)
        self.optimiser = self._optimiser()

    def loss(self, batch: Batch, stage: StageConfig) -> tuple[Tensor, float]:
        """Return the loss of a batch and the PSNR of its reconstruction (nan for the denoising task)."""
        with torch.autocast(self.device, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            if stage.task == "denoise":
                denoiser: nn.Module = self.network.regulariser.denoiser  # type: ignore[assignment]
                loss = denoising_loss(denoiser, batch, self.config.network.sigma, stage.root)
                return loss, math.nan
            self.network.steps = stage.steps or self.config.network.steps
            self.network.iterations = stage.iterations or self.config.network.iterations
            if stage.jitter > 0:
                batch = replace(batch, kspace_bcyx=jittered(batch, stage.jitter))
            attack = drawn(stage.attacks)
            if attack is not None and attack.domain == "kspace":
                kspace_bcyx = attacked(self.network, batch, attack, stage.samples)
                batch = replace(batch, kspace_bcyx=kspace_bcyx)
            adjoint_byx = sense_adjoint(batch.kspace_bcyx, batch.maps_bcyx, batch.mask_by)
            start_byx = None
            if attack is not None and attack.domain == "start":
                start_byx = worst_start(self.network, adjoint_byx, batch, attack, stage.samples)
            loss, image_byx = ustab_loss(self.network, adjoint_byx, batch, stage, start_byx)
        return loss, float(psnr_db(image_byx.detach(), batch.target_byx).mean())

    def train_on(self, batch: Batch | list[Batch], stage: StageConfig) -> tuple[float, float]:
        """One update of weights and of their average; return loss and PSNR.

        A list holds this process's scans of the team's batch one by one (:mod:`smug_recon.training.shares`); a ``Batch`` is drawn
        for and averaged as a whole.
        """
        if isinstance(batch, Batch):
            torch.manual_seed(hash((self.config.seed, self.stage, self.update, self.team.rank)) % 2**63)
            loss, psnr = self.loss(batch, stage)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.team.average_gradients(self.network.parameters())
            figures = (float(loss.detach()), psnr)
        else:
            place = (self.config.seed, self.stage, self.update)
            figures = share_gradients(
                self.network, lambda scan: self.loss(scan, stage), batch, stage.batch, self.team, place
            )
        self._advance(stage)
        return figures

    def _advance(self, stage: StageConfig) -> None:
        """Follow the gradients that are there."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(stage, self.update) * group["factor"]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        if torch.isfinite(norm):
            self.optimiser.step()
        keep = (
            min(self.config.average, (1 + self.update) / (10 + self.update))
            if self.stage == 0
            else self.config.average
        )
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                if value.is_floating_point():
                    self.averaged[name].lerp_(value, 1 - keep)
                else:  # counters of batch normalisation
                    self.averaged[name].copy_(value)
        self.update += 1
