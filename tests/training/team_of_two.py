"""What each process of a team does in test_teams.py: read raw files together, begin one training, and go on with another."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from smug_recon.training import loop
from smug_recon.training.config import TrainingConfig
from smug_recon.training.distributed import join
from smug_recon.training.measured import collect


def main(folder: Path) -> None:
    team = join("cpu")
    found = collect(folder / "raw", folder / "cache", team)
    (folder / f"collected-{team.rank}.json").write_text(json.dumps([path.name for path in found]))
    config = TrainingConfig.model_validate_json((folder / "config.json").read_text())
    leave, loop.leave = (
        loop.leave,
        lambda team: None,
    )  # a team that has parted does not meet again in these processes
    loop.train(config, folder / "two-then-one", stop_after=4)
    loop.train(config, folder / "one-then-two")
    leave(team)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
