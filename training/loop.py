"""The training loop: stage after stage of updates, and checkpoints that continue as if nothing had happened."""

from __future__ import annotations

import csv
import math
import time
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset
from tqdm import tqdm

from smug_recon.errors import ConfigurationError
from smug_recon.training.batches import Batch, ScanBatches, ScanShares, stream
from smug_recon.training.checkpoint import load_checkpoint, save_checkpoint
from smug_recon.training.config import StageConfig, TrainingConfig
from smug_recon.training.distributed import join, leave
from smug_recon.training.output import require_device, written
from smug_recon.training.sources import Source, open_source
from smug_recon.training.trainer import Trainer
from smug_recon.whole_file import whole_file

EVERY = 50
"""Updates from one line of the curve to the next."""


def train(
    config: TrainingConfig, folder: Path, device: str = "cpu", stop_after: int | None = None
) -> Trainer:
    """Train, or continue the training found in ``folder``; leaves ``checkpoint.pt`` and ``curve.csv`` there.

    Args:
        config: all of it. folder: of this run. device: ``cpu`` or ``cuda``. stop_after: end after so many updates in this call.
    """
    require_device(device)
    with written(folder):
        folder.mkdir(parents=True, exist_ok=True)
    team = join(device)
    trainer = Trainer(config, folder, device, team)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.is_file():
        trainer.restore(load_checkpoint(checkpoint, config))
    if team.rank == 0:
        forget_after(folder / "curve.csv", trainer.stage, trainer.update)
    source: Source | None = None
    left = stop_after
    for number, stage in enumerate(config.stages):
        if number < trainer.stage or (number == trainer.stage and trainer.update >= stage.updates):
            continue
        if number > trainer.stage:
            trainer.begin(number)
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


def forget_after(curve: Path, stage: int, update: int) -> None:
    """Take out of a curve what was written after the checkpoint that a training goes on from: those updates are made again."""
    if not curve.is_file():
        return
    with curve.open(newline="") as file:
        rows = list(csv.reader(file))
    kept = [row for row in rows if len(row) == 5 and (int(row[0]), int(row[1])) <= (stage, update)]
    if kept != rows:
        with whole_file(curve) as unfinished, unfinished.open("w", newline="") as file:
            csv.writer(file).writerows(kept)


def _write_line(trainer: Trainer, loss: float, psnr: float) -> None:
    line = [trainer.stage, trainer.update, f"{loss:.6g}", f"{psnr:.3f}", f"{time.time():.0f}"]
    curve = trainer.folder / "curve.csv"
    with written(curve), curve.open("a", newline="") as file:
        csv.writer(file).writerow(line)


def _run_stage(trainer: Trainer, stage: StageConfig, batches: ScanBatches, stop: int) -> None:
    saved = time.monotonic()
    leads = trainer.team.rank == 0
    name = f"stage {trainer.stage} {stage.task}"
    bar = tqdm(
        total=stage.updates, initial=trainer.update, desc=name, disable=None if leads else True, mininterval=5
    )
    drawn: Dataset[Any] = ScanShares(batches) if trainer.draws == "position" else batches
    batch: Batch | list[Batch]
    for batch in stream(drawn, trainer.update, stop, trainer.config.workers):
        device = trainer.device
        moved = batch.to(device) if isinstance(batch, Batch) else [scan.to(device) for scan in batch]
        loss, psnr = trainer.train_on(moved, stage)
        if psnr != -math.inf:  # an empty target, a crop beside the head, has none
            trainer.since = (trainer.since[0] + loss, trainer.since[1] + psnr, trainer.since[2] + 1)
        bar.update()
        if trainer.update % EVERY == 0:
            count = trainer.since[2] or math.nan
            means = (trainer.since[0] / count, trainer.since[1] / count)
            trainer.since = (0.0, 0.0, 0)
            bar.set_postfix(loss=f"{means[0]:.4g}", psnr_db=f"{means[1]:.2f}")
            if leads:
                _write_line(trainer, *means)
        if leads and time.monotonic() - saved > trainer.config.save_every_s:
            save_checkpoint(trainer.folder / "checkpoint.pt", trainer.state(), trainer.config)
            saved = time.monotonic()
    bar.close()
