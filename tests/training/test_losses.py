"""The losses are those of the paper (arXiv 2312.07784, section III-B), written out here from what the denoiser was asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from smug_recon.network import smoothing
from smug_recon.network.unrolling import to_channels
from smug_recon.physics import sense_adjoint
from smug_recon.training.batches import Batch, ScanBatches
from smug_recon.training.config import StageConfig, TrainingConfig
from smug_recon.training.losses import ustab_loss
from smug_recon.training.sources import open_source
from smug_recon.training.trainer import Trainer


class Listening(nn.Module):
    """A smoothed denoiser that keeps its answers."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.answers: list[Tensor] = []

    def forward(self, *asked: Any) -> tuple[Tensor, Tensor]:
        copies, weights = self.inner(*asked)
        self.answers.append(copies)
        return copies, weights


def one_batch(config: TrainingConfig) -> Batch:
    batch = ScanBatches(open_source(config.data), 0, 2)[0]
    assert isinstance(batch, Batch)
    return batch


@pytest.mark.parametrize("target", ["label", "denoised-label"])
def test_ustab_is_the_sum_over_the_steps_and_the_final_error(
    target: Literal["label", "denoised-label"], config: TrainingConfig, tmp_path: Path
) -> None:
    network, batch = Trainer(config, tmp_path).network, one_batch(config)
    listening = network.regulariser = Listening(network.regulariser)
    stage = StageConfig(task="unroll", updates=1, samples=3, ustab=2.0, final=0.7, target=target)
    adjoint_byx = sense_adjoint(batch.kspace_bcyx, batch.maps_bcyx, batch.mask_by)
    loss, image_byx = ustab_loss(network, adjoint_byx, batch, stage)
    truth = to_channels(batch.target_byx)
    copies, stable = listening.answers[:2], truth
    assert [each.shape[0] for each in copies] == [3, 3] and network.steps == 2  # ustab of N: the sum itself
    if target == "denoised-label":
        (answer,) = listening.answers[2:]
        assert answer.shape[0] == 1  # of the clean label
        stable = answer[0]
        assert stable.requires_grad  # D(t) is not detached
    wanted = sum(sum((one - stable).square().mean() for one in each) / 3 for each in copies)
    wanted = wanted + 0.7 * (to_channels(image_byx) - truth).square().mean()
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)


@pytest.mark.parametrize("shared", [False, True])
def test_noise_is_drawn_for_every_step_or_once_for_all(
    shared: bool, config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Tensor] = []

    def listened(*asked: Any) -> Tensor:
        drawn.append(smoothing_noise(*asked))
        return drawn[-1]

    smoothing_noise = smoothing.smoothing_noise
    monkeypatch.setattr(smoothing, "smoothing_noise", listened)
    network = config.network.model_copy(update={"shared_noise": shared})
    trainer = Trainer(config.model_copy(update={"network": network}), tmp_path)
    for _ in range(2):
        trainer.train_on(one_batch(config), config.stages[1])
    first, second, third, fourth = drawn  # two updates of two steps
    assert torch.equal(first, second) == torch.equal(third, fourth) == shared
    assert not torch.equal(first, third)


def test_gradients_are_clipped_at_their_largest_norm(config: TrainingConfig, tmp_path: Path) -> None:
    norms = []
    for clip in (1e6, 1e-3):
        trainer = Trainer(config.model_copy(update={"clip": clip}), tmp_path)
        trainer.train_on(one_batch(config), config.stages[1])
        found = [each.grad for each in trainer.network.parameters() if each.grad is not None]
        norms.append(float(torch.stack([each.norm() for each in found]).norm()))
    assert norms[0] > 2e-3 and norms[1] == pytest.approx(1e-3, rel=1e-3)


def test_mixed_precision_rounds_features_and_keeps_weights(config: TrainingConfig, tmp_path: Path) -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        trainer = Trainer(config.model_copy(update={"precision": precision}), tmp_path)
        batch = one_batch(config)
        losses.append([trainer.train_on(batch, config.stages[1])[0] for _ in range(3)][-1])
        assert {each.dtype for each in trainer.network.parameters()} == {torch.float32}
    assert losses[0] != losses[1] and losses[1] == pytest.approx(losses[0], rel=0.02)
