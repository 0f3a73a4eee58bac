"""Where raw data are kept: nowhere, where the environment says, or the pipeline; ``check`` tells."""

from __future__ import annotations

import sys

import pytest
from spool_bytes import HANDSHAKE, READOUT, stream

from smug_recon.__main__ import main
from smug_recon.errors import ConfigurationError
from smug_recon.pipeline import load_pipeline
from smug_recon.spool import Keeping, from_environment
from smug_recon.spool.record import is_spool


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    keeping = Keeping()
    keeping.hear(HANDSHAKE)
    keeping.begin()
    keeping.settled(load_pipeline(), print)
    keeping.hear(READOUT)
    assert keeping.name == keeping.footnote() == "" and not keeping._before
    keeping.end()


def test_the_environment_wins_over_the_pipeline(tmp_path, monkeypatch):
    assert from_environment() is None
    monkeypatch.setenv("SMUG_RECON_SPOOL", "")
    keeping = Keeping(from_environment())
    keeping.hear(HANDSHAKE)
    keeping.begin()
    keeping.settled(load_pipeline().with_overrides({"spool.folder": str(tmp_path)}), print)
    assert keeping.name == ""
    monkeypatch.setenv("SMUG_RECON_SPOOL", str(tmp_path))
    monkeypatch.setenv("SMUG_RECON_SPOOL_GIGABYTES", "3")
    assert (from_environment().folder, from_environment().gigabytes) == (tmp_path, 3.0)
    for name, value in (("SMUG_RECON_SPOOL", "relative"), ("SMUG_RECON_SPOOL_DAYS", "-1")):
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigurationError, match="SMUG_RECON_SPOOL"):
            from_environment()
        monkeypatch.setenv("SMUG_RECON_SPOOL", str(tmp_path))


def test_the_pipeline_names_a_folder(tmp_path):
    keeping, said = Keeping(), []
    keeping.hear(HANDSHAKE)
    keeping.begin()
    keeping.settled(load_pipeline().with_overrides({"spool.folder": str(tmp_path), "seed": 7}), said.append)
    keeping.hear(READOUT)
    keeping.end()
    spool = tmp_path / keeping.name
    assert is_spool(spool) and stream(keeping) == HANDSHAKE + READOUT
    settings = load_pipeline(spool / "pipeline.yaml")
    assert settings.seed == 7 and settings.spool.folder is None
    assert settings.sha256 == load_pipeline().with_overrides({"seed": 7}).sha256


@pytest.mark.parametrize(
    ("folder", "code", "said"),
    [("spools", 0, "at most 50 GB, 7 days"), ("file/spools", 2, "the spool folder")],
)
def test_check_says_where_raw_data_are_kept_and_that_it_can_be_written(
    folder, code, said, tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").write_text("no folder")
    words = ["smug-recon", "check", "--device", "cpu", "--set", f"spool.folder={tmp_path / folder}"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as left:
        main()
    printed = capsys.readouterr()
    assert (left.value.code or 0) == code and said in printed.out + printed.err
