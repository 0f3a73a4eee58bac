"""The timeline for the page: one row a stage, and how much of it was done before the last readout had arrived."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NAMES = {
    "receive": "waiting for readouts",
    "prepare": "model load, header check",
    "other": "between the stages",
    "send": "sending images",
    "for the report": "conventional, for this report",
}
IDLE = ("receive",)
SHORTEST_S = 0.0005
SHADES = 4


@dataclass(frozen=True)
class Block:
    """A stretch of a row, in intervals, and how much of it was taken up (1 to ``SHADES``)."""

    start: int
    length: int
    shade: int


@dataclass
class Row:
    """One stage."""

    name: str
    seconds: float
    calls: int | None
    early_percent: float | None
    """Share of its seconds before the last readout; None where nobody knows."""
    blocks: list[Block] = field(default_factory=list)
    idle: bool = False
    percent: float = 0.0


@dataclass
class Timeline:
    """All rows and the axis."""

    rows: list[Row]
    bins: int
    end_s: float
    last_readout: float | None
    """Where the last readout arrived, in intervals."""
    last_readout_s: float | None
    ticks: list[tuple[float, str]]
    """Where (in per cent) and what to write on the axis."""
    readouts: list[Block] = field(default_factory=list)
    images: list[Block] = field(default_factory=list)
    early_percent: float | None = None
    """Share of all work before the last readout, waiting left out."""
    tail_s: float | None = None
    """From the last readout to the end."""


def timeline(timing: dict[str, Any], notes: dict[str, Any]) -> Timeline:
    """Rows of ``timing.json``, with their intervals where the notebook has them; rows below half a millisecond are left out."""
    line = notes.get("timeline", {})
    width_s, end_s = float(line.get("width_s", 0)), float(line.get("end_s", 0)) or 1e-9
    seconds, events = line.get("seconds", {}), line.get("events", {})
    arrivals = [n for n, count in enumerate(events.get("readouts", [])) if count]
    last = arrivals[-1] + 1 if arrivals else None
    told = {str(stage["name"]): stage for stage in timing.get("stages", [])}
    longest = max([float(stage["seconds"]) for stage in told.values()], default=0.0) or 1e-9
    rows = []
    for name in dict.fromkeys([*told, *seconds]):
        bins = seconds.get(name, [])
        spent = float(told[name]["seconds"]) if name in told else sum(bins)
        if spent < SHORTEST_S:
            continue
        early = 100 * sum(bins[:last]) / sum(bins) if last is not None and sum(bins) > 0 else None
        calls = int(told[name].get("calls", 0)) if name in told else None
        row = Row(NAMES.get(name, name), spent, calls, early, blocks(bins, width_s), name in IDLE)
        row.percent = 100 * spent / longest
        rows.append(row)
    used = max([len(bins) for bins in seconds.values()], default=0)
    work = [bins for name, bins in seconds.items() if name not in IDLE]
    total = sum(map(sum, work))
    found = Timeline(rows, used, end_s, None, None, ticks(end_s, used * width_s) if used else [])
    if last is not None:
        found.last_readout, found.last_readout_s = last, min(last * width_s, end_s)
        found.early_percent = 100 * sum(sum(bins[:last]) for bins in work) / total if total else None
        found.tail_s = max(end_s - found.last_readout_s, 0.0)
    for name in ("readouts", "images"):
        counts = events.get(name, [])
        setattr(found, name, blocks([float(bool(n)) for n in counts], 1.0))
    return found


def blocks(bins: list[float], width_s: float) -> list[Block]:
    """Neighbouring intervals of one shade as one block; those with nothing in them make none."""
    found: list[Block] = []
    for number, spent in enumerate(bins):
        share = spent / width_s if width_s else 0.0
        shade = 0 if share < 0.01 else min(SHADES, 1 + int(share * SHADES))
        if found and found[-1].start + found[-1].length == number and found[-1].shade == shade:
            found[-1] = Block(found[-1].start, found[-1].length + 1, shade)
        elif shade:
            found.append(Block(number, 1, shade))
    return found


def ticks(end_s: float, shown_s: float) -> list[tuple[float, str]]:
    """Round times on an axis that shows ``shown_s`` seconds: three to seven of them."""
    step = next((s for s in steps() if end_s / s <= 6), 3600.0)
    times = [n * step for n in range(int(end_s / step) + 1)]
    return [(round(100 * time / shown_s, 3), f"{time:g} s") for time in times]


def steps() -> list[float]:
    """1, 2, 5 times the powers of ten from a millisecond on."""
    return [digit * 10.0**power for power in range(-3, 4) for digit in (1, 2, 5)]
