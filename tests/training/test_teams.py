"""Any number of processes trains like one: the same scans, the same random numbers, the same weights, also across a stop."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

from smug_recon.errors import ConfigurationError
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import write_raw
from smug_recon.simulation.scan import simulate_scan
from smug_recon.training import loop
from smug_recon.training.batches import Batch, ScanBatches, ScanShares
from smug_recon.training.checkpoint import load_checkpoint, save_checkpoint
from smug_recon.training.config import AttackConfig, DataConfig, NetworkConfig, StageConfig, TrainingConfig
from smug_recon.training.distributed import Team
from smug_recon.training.loop import train
from smug_recon.training.shares import seed_at, share_gradients
from smug_recon.training.slices import StoredSlices
from smug_recon.training.sources import open_source
from smug_recon.training.trainer import Trainer


@pytest.fixture
def restless(config: TrainingConfig) -> TrainingConfig:
    """A training in which everything random takes part, with a batch that two processes cannot share evenly."""
    network = NetworkConfig(method="weighted-smug", channels=(6, 8), steps=2, lam=0.1, iterations=4)
    attack = AttackConfig(strength=0.01, steps=2)
    stages = (
        StageConfig(task="denoise", updates=2, batch=3, warm_up=1),
        StageConfig(task="unroll", updates=5, batch=3, samples=2, jitter=0.01, warm_up=1, attack=attack),
    )
    return config.model_copy(update={"network": network, "stages": stages})


class Captive(Team):
    """A member of a team whose sum is taken elsewhere."""

    def sum(self, values: Tensor) -> None:
        object.__setattr__(self, "part", values.clone())


def part_of(trainer: Trainer, rank: int, size: int, stage: StageConfig) -> Tensor:
    """What a process adds to the sum of the team: gradients, running statistics, loss, PSNR."""
    source = open_source(trainer.config.data)
    team = Captive(rank, size)
    scans = ScanShares(ScanBatches(source, 7, stage.batch, rank, size))[2]
    share_gradients(
        trainer.network, lambda scan: trainer.loss(scan, stage), scans, stage.batch, team, (1, 1, 2)
    )
    part: Tensor = team.part  # type: ignore[attr-defined]
    return part


def test_gradients_of_a_team_add_up_to_those_of_one_process(restless: TrainingConfig, tmp_path: Path) -> None:
    stage = restless.stages[1]
    before = Trainer(restless, tmp_path).state()

    def part(rank: int, size: int) -> Tensor:
        trainer = Trainer(restless, tmp_path)
        trainer.restore(before)
        return part_of(trainer, rank, size, stage)

    alone = part(0, 1)
    assert float(alone.abs().max()) > 0
    for size in (2, 5):  # in a team of five, two have nothing to do
        together = torch.stack([part(rank, size) for rank in range(size)]).sum(0)
        assert torch.allclose(together, alone, rtol=1e-12, atol=0)


def test_every_position_has_random_numbers_of_its_own() -> None:
    places = [
        (seed, stage, update, at) for seed in (0, 1) for stage in (0, 1) for update in (0, 1) for at in (0, 1)
    ]
    assert len({seed_at(*place) for place in places}) == len(places)
    assert seed_at(1, 2, 3, 4) == seed_at(1, 2, 3, 4) < 2**63


@pytest.mark.parametrize(("batch", "size"), [(4, 1), (4, 2), (4, 3), (2, 4)])
def test_a_process_reads_its_share_and_together_they_read_the_batch(
    config: TrainingConfig, monkeypatch: pytest.MonkeyPatch, batch: int, size: int
) -> None:
    seen: list[tuple[str, int]] = []
    stored = StoredSlices.__getitem__

    def watched(self: StoredSlices, place: int, /) -> object:
        seen.append((self.group, place))
        return stored(self, place)

    monkeypatch.setattr(StoredSlices, "__getitem__", watched)
    source = open_source(config.data)
    assert not seen

    def read(rank: int, size: int) -> tuple[list[tuple[str, int]], list[Batch]]:
        seen.clear()
        scans = ScanShares(ScanBatches(source, 3, batch, rank, size))[5]
        return list(seen), scans

    whole_reads, whole = read(0, 1)
    parts = [read(rank, size) for rank in range(size)]
    assert sorted(place for reads, _ in parts for place in reads) == sorted(whole_reads)
    assert len(whole_reads) == batch
    for position, scan in enumerate(whole):
        own = parts[position % size][1][position // size]
        assert torch.equal(own.kspace_bcyx, scan.kspace_bcyx) and torch.equal(own.target_byx, scan.target_byx)


def test_a_process_does_not_hold_the_slices(config: TrainingConfig, tmp_path: Path) -> None:
    path = tmp_path / "many.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("one/T1w_axial")
        group.create_dataset("slices", data=np.full((400, 64, 64), 4000, np.uint16), chunks=(1, 64, 64))
        group.attrs.update({"subject": "one", "split": "train", "orientation": "axial", "contrast": "T1w"})
    tracemalloc.start()
    source = open_source(DataConfig(slices=path, scans=config.data.scans))
    source.draw(0, 0, 40)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 400 * 64 * 64 * 2 / 2


def weights(folder: Path) -> dict[str, Tensor]:
    state = load_checkpoint(folder / "checkpoint.pt")
    assert state["draws"] == "position"
    return {**state["network"], **{f"averaged.{name}": value for name, value in state["averaged"].items()}}


def test_a_training_goes_on_with_more_or_fewer_processes_as_if_nothing_had_happened(
    restless: TrainingConfig, tmp_path: Path
) -> None:
    for seed in (1, 2, 3):
        scan = simulate_scan(
            ScanSettings(matrix_xy=(24, 32), coils=2, acceleration=1.0, acs=0, slices=1, seed=seed)
        )
        (tmp_path / "raw").mkdir(exist_ok=True)
        write_raw(scan, tmp_path / "raw" / f"scan{seed}.h5")
    (tmp_path / "config.json").write_text(restless.model_dump_json())
    train(restless, tmp_path / "whole")
    train(restless, tmp_path / "one-then-two", stop_after=4)
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--rdzv-backend",
        "c10d",
    ]
    command += ["--master-addr", "127.0.0.1", "--master-port", "0", "--rdzv-endpoint", "127.0.0.1:0"]
    ran = subprocess.run(
        [*command, str(Path(__file__).with_name("team_of_two.py")), str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    train(restless, tmp_path / "two-then-one")
    whole = weights(tmp_path / "whole")
    for name in ("one-then-two", "two-then-one"):
        found = weights(tmp_path / name)
        for key, value in whole.items():
            assert torch.allclose(value, found[key], rtol=0, atol=1e-7), (name, key)
    collected = [json.loads((tmp_path / f"collected-{rank}.json").read_text()) for rank in (0, 1)]
    assert collected[0] == collected[1]
    assert [name[:5] for name in collected[0]] == ["scan1", "scan2", "scan3"]
    assert not list((tmp_path / "cache").glob("*.incomplete"))


def test_more_processes_than_scans_are_refused_where_draws_hang_on_the_process(
    config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "join", lambda device: Team(0, 3))
    with pytest.raises(ConfigurationError, match="3 processes for batches of 2"):
        train(config.model_copy(update={"draws": "process"}), tmp_path)


def test_a_training_keeps_the_draws_it_began_with(
    config: TrainingConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = config.model_copy(update={"draws": "process"})
    train(before, tmp_path / "whole")
    trainer = train(before, tmp_path / "parts", stop_after=4)
    state = trainer.state()
    assert (state["draws"], state["processes"]) == ("process", 1)
    del state["draws"], state["processes"]  # as files from before there was a choice
    save_checkpoint(tmp_path / "parts" / "checkpoint.pt", state, before)
    continued = train(config, tmp_path / "parts")
    assert config.draws == "position" and continued.draws == "process"
    for name, value in load_checkpoint(tmp_path / "whole" / "checkpoint.pt")["network"].items():
        assert torch.equal(value, continued.network.state_dict()[name]), name
    with caplog.at_level(logging.WARNING):
        Trainer(config, tmp_path).restore({**trainer.state(), "processes": 3})
    assert "was 3 and is 1" in caplog.text
