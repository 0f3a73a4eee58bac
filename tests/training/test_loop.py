"""Training continues after a kill as if nothing had happened, and the loss goes down; teams are in test_teams.py."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from smug_recon.errors import ConfigurationError
from smug_recon.training import loop
from smug_recon.training.batches import ScanBatches
from smug_recon.training.checkpoint import checkpoint_config, load_checkpoint
from smug_recon.training.config import StageConfig, TrainingConfig
from smug_recon.training.loop import forget_after, train
from smug_recon.training.sources import open_source
from smug_recon.training.trainer import Trainer, rate_at


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state = load_checkpoint(folder / "checkpoint.pt")
    return {**state["network"], **{f"averaged.{name}": value for name, value in state["averaged"].items()}}


@pytest.mark.parametrize("killed_after", [1, 3, 5])
def test_a_stopped_training_continues_identically(
    config: TrainingConfig, tmp_path: Path, killed_after: int
) -> None:
    train(config, tmp_path / "whole")
    train(config, tmp_path / "parts", stop_after=killed_after)
    train(config, tmp_path / "parts")
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name


def curve(folder: Path) -> list[list[str]]:
    """Lines of a curve without their time."""
    return [line.split(",")[:4] for line in (folder / "curve.csv").read_text().splitlines()]


@pytest.mark.parametrize("killed_after", [1, 4, 5])
def test_a_stopped_training_draws_the_same_curve(
    config: TrainingConfig, tmp_path: Path, killed_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "EVERY", 2)
    train(config, tmp_path / "whole")
    train(config, tmp_path / "parts", stop_after=killed_after)
    train(config, tmp_path / "parts")
    assert [line[:2] for line in curve(tmp_path / "whole")] == [["0", "2"], ["1", "2"], ["1", "4"]]
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")


def test_a_batch_without_signal_does_not_speak_for_the_others(
    config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "EVERY", 2)
    learned = Trainer.train_on
    found: list[float] = []

    def every_second_empty(trainer: Trainer, batch: Any, stage: StageConfig) -> tuple[float, float]:
        loss, psnr = learned(trainer, batch, stage)
        if stage.task == "unroll":
            found.append(psnr)
            psnr = psnr if len(found) % 2 else -math.inf
        return loss, psnr

    monkeypatch.setattr(Trainer, "train_on", every_second_empty)
    train(config, tmp_path / "run")
    assert [line[3] for line in curve(tmp_path / "run")[1:]] == [f"{psnr:.3f}" for psnr in found[::2][:2]]
    assert all(math.isfinite(psnr) for psnr in found)


def test_every_weight_learns(config: TrainingConfig, tmp_path: Path) -> None:
    train(config, tmp_path / "run", stop_after=1)
    before = weights(tmp_path / "run")
    train(config, tmp_path / "run")
    after = weights(tmp_path / "run")
    assert {name for name, value in before.items() if torch.equal(value, after[name])} == set()


def test_a_network_learns_a_batch_by_heart(config: TrainingConfig, tmp_path: Path) -> None:
    stage = StageConfig(
        task="unroll", updates=150, batch=2, samples=2, rate=3e-3, warm_up=5, root=True, schedule="flat"
    )
    scans = config.data.scans.model_copy(update={"noise": (0.1, 0.1), "acceleration": (1.0, 1.2)})
    batch = ScanBatches(open_source(config.data, scans), 5, 2)[0]
    trainer = Trainer(config, tmp_path)
    losses = [trainer.train_on(batch, stage)[0] for _ in range(stage.updates)]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_a_checkpoint_of_another_network_is_refused(config: TrainingConfig, tmp_path: Path) -> None:
    train(config, tmp_path / "run", stop_after=1)
    other = config.model_copy(update={"network": config.network.model_copy(update={"channels": (4, 4)})})
    with pytest.raises(ConfigurationError, match="another folder"):
        train(other, tmp_path / "run")
    assert checkpoint_config(tmp_path / "run" / "checkpoint.pt") == config


def test_learning_rates_follow_the_paper_and_the_others() -> None:
    paper = StageConfig(task="unroll", updates=60, rate=1e-4, warm_up=0, schedule="flat-linear")
    assert [rate_at(paper, update) for update in (0, 10, 20)] == pytest.approx([1e-4] * 3)
    assert rate_at(paper, 40) == pytest.approx(0.5e-4)
    for schedule in ("linear", "cosine"):
        stage = StageConfig(task="unroll", updates=100, rate=1.0, warm_up=0, schedule=schedule)
        rates = [rate_at(stage, update) for update in range(100)]
        assert rates[0] == pytest.approx(1.0)
        assert rates == sorted(rates, reverse=True)
    warm = StageConfig(task="unroll", updates=100, rate=1.0, warm_up=10, schedule="flat")
    assert rate_at(warm, 0) == pytest.approx(0.1)


def test_a_curve_goes_on_where_the_checkpoint_does(tmp_path: Path) -> None:
    curve = tmp_path / "curve.csv"
    forget_after(curve, 0, 0)
    rows = [f"{stage},{update},0.1,20.0,1\r\n" for stage, update in ((0, 50), (0, 100), (1, 50), (1, 100))]
    curve.write_bytes("".join([*rows, "1,15"]).encode())  # killed while it wrote
    forget_after(curve, 1, 70)
    assert curve.read_bytes() == "".join(rows[:3]).encode()
    forget_after(curve, 0, 0)
    assert curve.read_bytes() == b""
