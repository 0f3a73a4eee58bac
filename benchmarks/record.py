"""What a benchmark leaves: rows with aim and accuracy, curves, the machine; as JSON and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from smug_recon.benchmarks.interleave import Ratio, Times, ratio
from smug_recon.errors import DataError

FORMAT = "smug-recon-benchmark/1"
TIMES = "times faster"
"""Unit of a ratio of speeds; only such rows are watched by the guard."""


@dataclass(frozen=True)
class Row:
    """One figure: a ratio of speeds (``unit`` TIMES) or a quantity, beside it what the result is worth.

    Attributes:
        name: what was measured against what. value, low, high: median and range over the rounds.
        aim, at_least: what it should be, as a lower (else upper) bound; None: no aim.
        accuracy: figures of merit of the result, by name. seconds: median wall seconds, by case.
        cpu_ratio: the same ratio in processor time, which other work on the machine hardly changes.
    """

    name: str
    unit: str
    value: float
    low: float
    high: float
    aim: float | None = None
    at_least: bool = True
    accuracy: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_ratio: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; None without one."""
        if self.aim is None:
            return None
        return self.value >= self.aim if self.at_least else self.value <= self.aim


@dataclass(frozen=True)
class Curve:
    """Cost against size: one line of the growth figure."""

    name: str
    against: str
    sizes: list[float]
    seconds: list[float]
    megabytes: list[float]


@dataclass(frozen=True)
class Result:
    """What one benchmark found, on which machine and at which size."""

    benchmark: str
    size: str
    about: str
    machine: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)


def speed_row(
    name: str,
    times: Mapping[str, Times],
    baseline: str,
    candidate: str,
    aim: float | None = None,
    **more: Any,
) -> Row:
    """Return the row of a ratio of speeds between two interleaved cases."""
    base, own = times[baseline], times[candidate]
    found: Ratio = ratio(base.wall_s, own.wall_s)
    seconds = {baseline: base.median_wall_s, candidate: own.median_wall_s}
    cpu_ratio = ratio(base.cpu_s, own.cpu_s).value
    return Row(
        name, TIMES, found.value, found.low, found.high, aim, seconds=seconds, cpu_ratio=cpu_ratio, **more
    )


def write_result(result: Result, folder: Path) -> Path:
    """Write ``NAME-SIZE.json`` and ``NAME-SIZE.md``; return the former."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.benchmark}-{result.size}.json"
    path.write_text(json.dumps({"format": FORMAT, **asdict(result)}, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(markdown(result), encoding="utf-8")
    return path


def read_result(path: Path) -> Result:
    """Read what :func:`write_result` wrote; DataError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("format") != FORMAT:
            raise ValueError("another format")
        rows = [Row(**row) for row in found.pop("rows")]
        curves = [Curve(**curve) for curve in found.pop("curves")]
        return Result(**found, rows=rows, curves=curves)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path.name}, which cannot be read ({error})",
            f"a result of the format {FORMAT}",
            "run smug-recon bench again",
        ) from None


def markdown(result: Result) -> str:
    """Return a result as a table, the machine below it."""
    lines = [f"### {result.benchmark}", "", result.about, ""]
    if result.rows:
        lines += ["| | measured | range | aim | accuracy | |", "|---|---|---|---|---|---|"]
        lines += [_line(row) for row in result.rows]
    for curve in result.curves:
        lines += ["", f"{curve.name}:", "", f"| {curve.against} | seconds | MB |", "|---|---|---|"]
        lines += [
            f"| {size:g} | {seconds:.3f} | {megabytes:.0f} |"
            for size, seconds, megabytes in zip(curve.sizes, curve.seconds, curve.megabytes, strict=True)
        ]
    machine = result.machine
    text = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads, load {machine['load']}; "
        f"{machine['accelerator']}; {', '.join(f'{name} {number}' for name, number in machine['versions'].items())}; "
        f"{machine['date']}; size {result.size}."
    )
    return "\n".join([*lines, "", text, ""])


def _line(row: Row) -> str:
    aim = "" if row.aim is None else f"{'at least' if row.at_least else 'at most'} {row.aim:g}"
    verdict = {True: "reached", False: "missed", None: ""}[row.met]
    accuracy = ", ".join(f"{name} {value:.3g}" for name, value in row.accuracy.items())
    cpu = f" ({row.cpu_ratio:.2f} in processor time)" if row.cpu_ratio is not None else ""
    note = ". ".join(text for text in (verdict, row.note) if text)
    spread = f"{_number(row.low)} to {_number(row.high)}"
    return f"| {row.name} | {_number(row.value)} {row.unit}{cpu} | {spread} | {aim} | {accuracy} | {note} |"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
