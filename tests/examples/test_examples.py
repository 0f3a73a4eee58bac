"""The examples run as they stand, from an empty folder, with the installed command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SAID = {
    "replay.sh": "images_2     all 2",
    "in_python.py": "slice 1: (96, 128)",
    "scanner_session.py": "2 images",
    "live_page.py": "session 3: done, 2 images",
    "own_model.sh": "images_1     all 1",
}


@pytest.mark.parametrize("name", SAID)
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / name)] if name.endswith(".py") else [str(EXAMPLES / name)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert SAID[name] in ran.stdout


def test_every_example_is_listed_and_run() -> None:
    programs = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh")}
    assert programs == set(SAID)
    listed = (EXAMPLES / "README.md").read_text()
    assert all(name in listed for name in programs)
