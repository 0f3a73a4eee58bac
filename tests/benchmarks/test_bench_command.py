"""``smug-recon bench``: lists, measures, guards, writes tables."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from smug_recon.__main__ import app
from smug_recon.benchmarks.guard import RECORDED
from smug_recon.benchmarks.registry import ALL
from smug_recon.errors import ConfigurationError

run = CliRunner().invoke


def test_without_a_name_it_lists_the_benchmarks() -> None:
    found = run(app, ["bench"])
    assert found.exit_code == 0
    assert all(name in found.output for name in ALL)


def test_it_refuses_what_it_does_not_know() -> None:
    assert isinstance(run(app, ["bench", "nothing", "--quick"]).exception, ConfigurationError)
    assert isinstance(run(app, ["bench", "reading", "--size", "huge"]).exception, ConfigurationError)


def test_it_measures_writes_and_tabulates(tmp_path: Path) -> None:
    assert run(app, ["bench", "data-consistency", "--quick", "-o", str(tmp_path)]).exit_code == 0
    found = json.loads((tmp_path / "data-consistency-quick.json").read_text())
    assert found["rows"] and found["machine"]["versions"]["torch"]
    table = run(app, ["bench", "table", str(tmp_path)])
    assert table.exit_code == 0 and "1-D in blocks" in table.output


def test_the_guard_fails_on_a_clear_loss(tmp_path: Path) -> None:
    recorded = json.loads((RECORDED / "reading-quick.json").read_text())
    (tmp_path / "now.json").write_text(json.dumps(recorded))
    assert run(app, ["bench", "guard", str(tmp_path)]).exit_code == 0
    for row in recorded["rows"]:
        row["value"], row["cpu_ratio"] = 0.1 * row["value"], row["cpu_ratio"] and 0.1 * row["cpu_ratio"]
    (tmp_path / "now.json").write_text(json.dumps(recorded))
    found = run(app, ["bench", "guard", str(tmp_path)])
    assert found.exit_code == 1
    assert "slower than recorded: reading" in found.output
