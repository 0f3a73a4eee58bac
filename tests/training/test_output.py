"""A device that is not there and a disk that says no end a run with one error, and leave the checkpoint that was there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from smug_recon.errors import ConfigurationError, OutputError
from smug_recon.training.checkpoint import load_checkpoint
from smug_recon.training.config import TrainingConfig
from smug_recon.training.convert import convert
from smug_recon.training.distributed import join
from smug_recon.training.loop import train
from smug_recon.training.output import require_device


def test_a_device_that_is_not_there_is_refused(
    config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device, found in (("cuda", "no GPU"), ("gpu0", "device 'gpu0'"), ("meta", "device 'meta'")):
        with pytest.raises(ConfigurationError, match=found):
            train(config, tmp_path / "run", device)
    require_device("cpu")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_the_last_checkpoint(
    config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(config, tmp_path / "run", stop_after=1)
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    with monkeypatch.context() as full:

        def refuse(path: Path, content: bytes) -> int:
            path.touch()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        full.setattr(Path, "write_bytes", refuse)
        with pytest.raises(OutputError, match=r"checkpoint\.pt.*No space left"):
            train(config, tmp_path / "run", stop_after=1)
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before
    assert not list((tmp_path / "run").glob("*.incomplete"))
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt")["update"] == 1


def test_folders_that_cannot_be_are_said_at_once(config: TrainingConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match="file/run"):
        train(config, tmp_path / "file" / "run")
    train(config, tmp_path / "run", stop_after=1)
    with pytest.raises(OutputError, match="file"):
        convert(tmp_path / "run" / "checkpoint.pt", tmp_path / "file" / "model.pt")
    convert(tmp_path / "run" / "checkpoint.pt", tmp_path / "new" / "folder" / "model.pt")
    assert (tmp_path / "new" / "folder" / "model.pt").is_file()


def test_every_process_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    joined: list[str] = []
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setattr(dist, "init_process_group", joined.append)
    monkeypatch.setattr(dist, "get_rank", lambda: 3)
    assert join("cuda").rank == 3
    assert (taken, joined) == ([3], ["nccl"])
    assert join("cpu").size == 4
    assert (taken, joined) == ([3], ["nccl", "gloo"])
