"""Where the time went: the node's seconds per stage, as a table and as ``timing.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smug_recon.whole_file import whole_file

VARIABLE = "SMUG_RECON_TIMING"
"""Environment variable with the path to which the node writes its timing."""


def read_timing(path: Path) -> dict[str, Any]:
    """The node's timing, ``{"stages": [{"name", "seconds", "calls"}], ...}``; empty if it wrote none."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_timing(path: Path, timing: Mapping[str, Any]) -> None:
    """Write the timing in one step."""
    with whole_file(path) as unfinished:
        unfinished.write_text(json.dumps(dict(timing), indent=2) + "\n")


def timing_table(timing: Mapping[str, Any]) -> str:
    """Stage, seconds, share of all stages, the longest first; then the whole run."""
    stages = sorted(timing.get("stages", []), key=lambda stage: -float(stage["seconds"]))
    total = sum(float(stage["seconds"]) for stage in stages)
    names = [str(stage["name"]) for stage in stages] + [
        f"replay: {name}" for name in timing.get("replay", {})
    ]
    width = max([len(name) for name in names] + [10])
    lines = [f"{'stage':<{width}}  {'seconds':>8}  {'share':>6}  {'calls':>6}"]
    for stage in stages:
        seconds = float(stage["seconds"])
        share = f"{seconds / total:6.1%}" if total else "     -"
        lines.append(f"{stage['name']:<{width}}  {seconds:8.3f}  {share}  {stage.get('calls', ''):>6}")
    lines.append(f"{'all stages':<{width}}  {total:8.3f}")
    if "wall_seconds" in timing:
        lines.append(f"{'chain':<{width}}  {float(timing['wall_seconds']):8.3f}")
    for name, seconds in timing.get("replay", {}).items():
        lines.append(f"{'replay: ' + name:<{width}}  {float(seconds):8.3f}")
    return "\n".join(lines)
