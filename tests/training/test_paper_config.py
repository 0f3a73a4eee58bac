"""The named config of the paper has the settings of the paper (arXiv 2312.07784, section IV), through the code that trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from smug_recon.training import config as config_module
from smug_recon.training.config import TrainingConfig, load_config
from smug_recon.training.trainer import Trainer, rate_at

CONFIGS = Path(config_module.__file__).with_name("configs")


@pytest.fixture(scope="module")
def paper() -> TrainingConfig:
    return load_config(CONFIGS / "paper.yaml")


def test_the_network_is_that_of_the_paper(paper: TrainingConfig, tmp_path: Path) -> None:
    network = Trainer(paper, tmp_path).network
    denoiser = network.regulariser.get_submodule("denoiser")
    assert sum(each.numel() for each in denoiser.parameters()) == 5_021_761  # DIDN with R = 3
    settings = paper.network
    assert (settings.method, settings.steps, settings.sigma, settings.sampling) == (
        "smug",
        8,
        0.01,
        "independent",
    )
    assert settings.lam == 1.0 and not settings.learned_lambda and not settings.shared_noise


def test_adam_and_its_rates_are_those_of_the_paper(paper: TrainingConfig, tmp_path: Path) -> None:
    optimiser = Trainer(paper, tmp_path).optimiser
    assert isinstance(optimiser, torch.optim.Adam)
    assert all(group["betas"] == (0.5, 0.999) for group in optimiser.param_groups)
    stage = paper.stages[-1]
    epoch = 3000 // 2
    assert (stage.updates, stage.batch, stage.samples) == (60 * epoch, 2, 10)
    rates = [rate_at(stage, number * epoch) for number in (0, 10, 20, 40, 60)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-4, 0.5e-4, 0.0])
    assert paper.precision == "float32" and paper.average == 0


def test_the_loss_is_that_of_the_paper(paper: TrainingConfig) -> None:
    pre_training, stage = paper.stages
    assert pre_training.task == "denoise" and not pre_training.root
    assert (stage.ustab, stage.final, stage.target, stage.root) == (
        paper.network.steps,
        1.0,
        "denoised-label",
        False,
    )
