"""The training loop: stages of updates, an average of the weights, checkpoints that continue as if nothing had happened."""

from __future__ import annotations

import csv
import logging
import math
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed
from torch.utils.data import Dataset
from tqdm import tqdm

from smug_recon.errors import ConfigurationError
from smug_recon.physics import sense_adjoint
from smug_recon.training.adversarial import attacked, jittered, worst_start
from smug_recon.training.batches import Batch, ScanBatches, ScanShares, stream
from smug_recon.training.checkpoint import load_checkpoint, save_checkpoint
from smug_recon.training.config import StageConfig, TrainingConfig
from smug_recon.training.distributed import Team, join, leave
from smug_recon.training.losses import denoising_loss, ustab_loss
from smug_recon.training.psnr import psnr_db
from smug_recon.training.shares import share_gradients
from smug_recon.training.sources import Source, open_source
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
        self.draws = state.get(
            "draws", "process"
        )  # what it began with; files from before there was a choice do not say
        if self.draws == "process" and state.get("processes", self.team.size) != self.team.size:
            log.warning(
                "the draws of this training hang on the number of processes, which was %d and is %d: it goes on with others",
                state["processes"],
                self.team.size,
            )

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
            domain = None if stage.attack is None else stage.attack.domain
            if domain == "kspace":
                batch = replace(batch, kspace_bcyx=attacked(self.network, batch, stage))
            adjoint_byx = sense_adjoint(batch.kspace_bcyx, batch.maps_bcyx, batch.mask_by)
            start_byx = worst_start(self.network, adjoint_byx, batch, stage) if domain == "start" else None
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


def train(
    config: TrainingConfig, folder: Path, device: str = "cpu", stop_after: int | None = None
) -> Trainer:
    """Train, or continue the training found in ``folder``; leaves ``checkpoint.pt`` and ``curve.csv`` there.

    Args:
        config: all of it. folder: of this run. device: ``cpu`` or ``cuda``. stop_after: end after so many updates in this call.
    """
    folder.mkdir(parents=True, exist_ok=True)
    team = join(device)
    trainer = Trainer(config, folder, device, team)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.is_file():
        trainer.restore(load_checkpoint(checkpoint, config))
    source: Source | None = None
    left = stop_after
    for number, stage in enumerate(config.stages):
        if number < trainer.stage or (number == trainer.stage and trainer.update >= stage.updates):
            continue
        if number > trainer.stage:
            trainer.stage, trainer.update = number, 0
            trainer.optimiser = trainer._optimiser()
        stop = stage.updates if left is None else min(stage.updates, trainer.update + left)
        left = None if left is None else left - (stop - trainer.update)
        scans = config.data.scans
        if stage.estimated_maps is not None:
            scans = scans.model_copy(update={"estimated_maps": stage.estimated_maps})
        source = open_source(config.data, scans, team) if source is None else source.drawn_as(scans)
        batches = ScanBatches(source, config.seed * 1000 + number, stage.batch, team.rank, team.size)
        if trainer.draws == "process" and team.size > stage.batch:
            raise ConfigurationError(
                f"{team.size} processes for batches of {stage.batch} scans",
                "a scan for every process, where draws hang on the process",
                "start fewer, or train into another folder with draws: position",
            )
        _run_stage(trainer, stage, batches, stop)
        if team.rank == 0:
            save_checkpoint(checkpoint, trainer.state(), config)
        if left == 0:
            break
    leave(team)
    return trainer


def _run_stage(trainer: Trainer, stage: StageConfig, batches: ScanBatches, stop: int) -> None:
    saved = time.monotonic()
    leads = trainer.team.rank == 0
    name = f"stage {trainer.stage} {stage.task}"
    bar = tqdm(
        total=stage.updates, initial=trainer.update, desc=name, disable=None if leads else True, mininterval=5
    )
    sums, seen = [0.0, 0.0], 0
    drawn: Dataset[Any] = ScanShares(batches) if trainer.draws == "position" else batches
    batch: Batch | list[Batch]
    for batch in stream(drawn, trainer.update, stop, trainer.config.workers):
        device = trainer.device
        moved = batch.to(device) if isinstance(batch, Batch) else [scan.to(device) for scan in batch]
        loss, psnr = trainer.train_on(moved, stage)
        sums, seen = [sums[0] + loss, sums[1] + psnr], seen + 1
        bar.update()
        if leads and trainer.update % 50 == 0:
            means = (sums[0] / seen, sums[1] / seen)
            with (trainer.folder / "curve.csv").open("a", newline="") as file:
                csv.writer(file).writerow(
                    [
                        trainer.stage,
                        trainer.update,
                        f"{means[0]:.6g}",
                        f"{means[1]:.3f}",
                        f"{time.time():.0f}",
                    ]
                )
            bar.set_postfix(loss=f"{means[0]:.4g}", psnr_db=f"{means[1]:.2f}")
            sums, seen = [0.0, 0.0], 0
        if leads and time.monotonic() - saved > trainer.config.save_every_s:
            save_checkpoint(trainer.folder / "checkpoint.pt", trainer.state(), trainer.config)
            saved = time.monotonic()
    bar.close()
