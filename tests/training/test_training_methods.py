"""What tells the methods apart in training: jitter, attacks, starting weights, recomputation, configs that extend others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from smug_recon.errors import ConfigurationError
from smug_recon.physics import sense_adjoint
from smug_recon.training.adversarial import attacked, drawn, jittered, worst_start
from smug_recon.training.ball import Ball
from smug_recon.training.batches import Batch, ScanBatches
from smug_recon.training.config import AttackConfig, StageConfig, TrainingConfig, load_config
from smug_recon.training.convert import convert
from smug_recon.training.loop import train
from smug_recon.training.sources import open_source
from smug_recon.training.trainer import Trainer
from smug_recon.training.weights import load_network, read_about, save_weights

CONFIGS = Path(__file__).parents[2] / "training" / "configs"


def batch_of(config: TrainingConfig) -> Batch:
    return ScanBatches(open_source(config.data, config.data.scans), 5, 2)[0]


@pytest.mark.parametrize("method", ["modl", "smug", "weighted-smug", "rs-e2e"])
def test_every_method_trains_by_the_same_code(config: TrainingConfig, tmp_path: Path, method: str) -> None:
    network = config.network.model_copy(update={"method": method})
    config = config.model_copy(update={"network": network})
    trainer = train(config, tmp_path / method)
    fresh = Trainer(config, tmp_path).network.state_dict()
    moved = [
        name for name, value in trainer.network.state_dict().items() if not torch.equal(value, fresh[name])
    ]
    assert any("denoiser" in name for name in moved)
    assert any("encoder" in name for name in moved) == (method == "weighted-smug")


def test_jitter_touches_samples_only_and_has_its_deviation(config: TrainingConfig) -> None:
    batch = batch_of(config)
    added = jittered(batch, 0.5) - batch.kspace_bcyx
    sampled = (batch.mask_by[:, None, :, None] > 0) & (batch.maps_bcyx.abs().amax([2, 3], keepdim=True) > 0)
    sampled = sampled.expand_as(added)
    assert float(added[~sampled].abs().max()) == 0
    assert float(torch.view_as_real(added[sampled]).std()) == pytest.approx(0.5, rel=0.05)


@settings(max_examples=20, deadline=None)
@given(norm=st.sampled_from(["linf", "l2"]), size=st.floats(0.01, 10), seed=st.integers(0, 99))
def test_projection_lands_in_the_ball_and_keeps_what_is_inside(norm: str, size: float, seed: int) -> None:
    change = size * torch.randn(
        2, 3, 4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.complex64
    )
    bound = torch.tensor([0.5, 2.0])
    ball = Ball(norm, bound, torch.ones(2, 1, 1, 1))

    def sizes(x: torch.Tensor) -> torch.Tensor:
        parts = torch.view_as_real(x).flatten(1)
        return parts.abs().amax(1) if norm == "linf" else parts.square().sum(1).sqrt()

    inside = ball.project(change)
    assert (sizes(inside) <= bound * (1 + 1e-5)).all()
    assert torch.allclose(ball.project(inside), inside, atol=1e-6)
    small = change / sizes(change)[:, None, None, None] * bound[:, None, None, None] * 0.99
    assert torch.allclose(ball.project(small), small, atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_attack_hurts_more_than_noise_of_its_energy(
    config: TrainingConfig, tmp_path: Path, norm: str
) -> None:
    batch, trainer = batch_of(config), Trainer(config, tmp_path)
    strength = 0.1 if norm == "linf" else 2.0
    attack = AttackConfig(strength=strength, norm=norm, steps=8)  # type: ignore[arg-type]
    torch.manual_seed(0)
    worst = attacked(trainer.network, batch, attack, 0)
    change = worst - batch.kspace_bcyx
    noise = torch.randn_like(change) * (change != 0)
    noise *= (change.abs().square().sum([1, 2, 3]) / noise.abs().square().sum([1, 2, 3])).sqrt()[
        :, None, None, None
    ]

    def error(kspace: torch.Tensor) -> float:
        with torch.no_grad():
            image = trainer.network(kspace, batch.maps_bcyx, batch.mask_by, 0, 0)[0]
        return float((image - batch.target_byx).abs().square().sum())

    assert error(worst) > 1.02 * error(batch.kspace_bcyx + noise) > 1.02 * error(batch.kspace_bcyx)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_worst_start_hurts_more_than_a_noisy_one_and_leaves_the_data_alone(
    config: TrainingConfig, tmp_path: Path, norm: str
) -> None:
    batch, trainer = batch_of(config), Trainer(config, tmp_path)
    attack = AttackConfig.model_validate({"strength": 0.5, "norm": norm, "steps": 8, "domain": "start"})
    stage = StageConfig(task="unroll", updates=1, samples=0, attack=attack)
    adjoint = sense_adjoint(batch.kspace_bcyx, batch.maps_bcyx, batch.mask_by)
    torch.manual_seed(0)
    worst = worst_start(trainer.network, adjoint, batch, attack, 0)
    change = worst - adjoint
    noise = torch.randn_like(change)
    noise *= (change.abs().square().sum([1, 2]) / noise.abs().square().sum([1, 2])).sqrt()[:, None, None]
    data = (adjoint, batch.maps_bcyx, batch.mask_by, batch.level_b, 0, 0)

    def error(start: torch.Tensor) -> float:
        with torch.no_grad():
            image = trainer.network.run_steps(start, *data)[0]
        return float((image - batch.target_byx).abs().square().sum())

    assert error(worst) > error(adjoint + noise) and error(worst) > error(adjoint)
    assert trainer.loss(batch, stage)[0].isfinite()


def test_of_several_attacks_every_batch_draws_one() -> None:
    several = [AttackConfig(strength=0.1), AttackConfig(strength=0.2, domain="start"), None]
    torch.manual_seed(3)
    met = [drawn(several) for _ in range(300)]
    assert all(70 < met.count(one) < 130 for one in several)
    torch.manual_seed(3)
    assert [drawn(several) for _ in range(300)] == met
    before = torch.get_rng_state()
    assert drawn(several[:1]) is several[0] and drawn([]) is None
    assert torch.equal(torch.get_rng_state(), before)  # what has no choice draws nothing
    stage = StageConfig.model_validate({"task": "unroll", "updates": 1, "attack": several})
    assert stage.attacks == tuple(several) and StageConfig(task="unroll", updates=1).attacks == ()


def test_rs_e2e_has_no_start_of_its_own_to_attack(config: TrainingConfig) -> None:
    attack = AttackConfig(strength=0.1, domain="start")
    content = config.model_copy(
        update={
            "network": config.network.model_copy(update={"method": "rs-e2e"}),
            "stages": (StageConfig(task="unroll", updates=1, attack=attack),),
        }
    )
    with pytest.raises(ValueError, match="rs-e2e"):
        TrainingConfig.model_validate(content.model_dump())


def test_a_network_starts_from_the_weights_of_another_method(config: TrainingConfig, tmp_path: Path) -> None:
    plain = config.model_copy(update={"network": config.network.model_copy(update={"method": "modl"})})
    trained = train(plain, tmp_path / "modl")
    about = convert(tmp_path / "modl" / "checkpoint.pt", tmp_path / "modl.safetensors")
    assert about["updates"] == {"0 denoise": 3, "1 unroll": 4}
    network, read = load_network(tmp_path / "modl.safetensors")
    assert read == about
    for name, value in network.state_dict().items():
        assert torch.equal(value, trained.averaged[name]), name
    weighted = config.network.model_copy(update={"method": "weighted-smug"})
    heir = Trainer(
        config.model_copy(update={"network": weighted, "start": tmp_path / "modl.safetensors"}), tmp_path
    )
    for name, value in network.regulariser.named_parameters():
        assert torch.equal(value, heir.network.regulariser.state_dict()[name]), name
    other = config.network.model_copy(update={"channels": (4, 4)})
    with pytest.raises(ConfigurationError, match="another one"):
        Trainer(
            config.model_copy(update={"network": other, "start": tmp_path / "modl.safetensors"}), tmp_path
        )


def test_files_that_are_no_weights_are_refused(config: TrainingConfig, tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("no weights")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    for name in ("text", "foreign", "missing"):
        with pytest.raises(ConfigurationError, match="no weights file"):
            read_about(tmp_path / f"{name}.safetensors")
    save_weights(tmp_path / "good.safetensors", config.network, {"x.denoiser": torch.zeros(1)}, {"name": "x"})
    assert read_about(tmp_path / "good.safetensors") == (config.network, {"name": "x"})


def test_recomputation_changes_memory_not_weights(config: TrainingConfig, tmp_path: Path) -> None:
    kept = train(config, tmp_path / "kept").network.state_dict()
    again = train(config.model_copy(update={"recompute": True}), tmp_path / "again").network.state_dict()
    assert kept.keys() == again.keys()
    for name, value in kept.items():
        assert torch.allclose(value, again[name], atol=1e-6), name


def test_configs_extend_others(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "{name: a, data: {slices: x.h5, split: val}, network: {steps: 3}, stages: []}"
    )
    (tmp_path / "more.yaml").write_text("{extends: base.yaml, name: b, network: {lam: 2.0}}")
    config = load_config(tmp_path / "more.yaml")
    assert (config.name, config.network.steps, config.network.lam) == ("b", 3, 2.0)
    assert (config.data.slices, config.data.split) == (tmp_path / "x.h5", "val")
    (tmp_path / "broken.yaml").write_text("{extends: none.yaml}")
    with pytest.raises(ConfigurationError, match=r"none\.yaml"):
        load_config(tmp_path / "broken.yaml")


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_configs_are_valid(path: Path) -> None:
    config = load_config(path)
    assert config.data.slices.name.endswith(".h5")
    if path.parent.name == "compact":
        base = load_config(path.parent / "base.yaml")
        assert config.data == base.data and config.network.channels == base.network.channels
