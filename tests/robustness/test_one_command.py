"""``scripts/robustness`` runs what the page says, on as many slices as the numbers of the page are from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from smug_recon.robustness.results.collected import read_collected
from smug_recon.robustness.settings.evaluation import load_evaluation

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "benchmarks" / "robustness.csv"
PHANTOM = "robustness-phantom"  # of one slice; the script makes its raw scan

pytestmark = pytest.mark.skipif(not TABLE.is_file(), reason="needs the repository, not the installed package")


def listed() -> dict[str, int | None]:
    """Return the studies that the script evaluates, each with its limit."""
    said = subprocess.run(
        [ROOT / "scripts" / "robustness", "--list"], capture_output=True, text=True, check=True, timeout=60
    )
    found: dict[str, int | None] = {}
    for line in said.stdout.splitlines():
        name, *option = line.split()
        assert name not in found and option[:1] in ([], ["--limit"])
        found[name] = int(option[1]) if option else None
    return found


def test_the_command_makes_every_study_of_the_table_with_its_slices() -> None:
    measured = {
        entry.study: entry.result.n
        for entry in read_collected(TABLE)
        if entry.result.perturbation == "clean" and entry.result.metric == "psnr_db"
    }
    studies = listed()
    assert set(studies) | {PHANTOM} == set(measured)
    for study, limit in studies.items():
        config = load_evaluation(ROOT / "benchmarks" / "configs" / f"{study}.yaml")
        wanted = (
            limit if limit is not None else config.data.limit
        )  # the command's takes the place of the config's
        everything = 3 * config.data.per_subject  # three held-out subjects
        assert measured[study] == min(everything, wanted or everything), study
