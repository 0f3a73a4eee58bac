"""Figures declared in a page: what their comments say, and the numbers of the long table that they show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import yaml
from pydantic import Field

from smug_recon.errors import DataError
from smug_recon.robustness.page.chosen import (
    Declaration,
    declared,
    methods_of,
    of_studies,
    one_result,
    words_of,
)
from smug_recon.robustness.page.shown import Curves, Figure, Line, Panel, TradeOff, Value
from smug_recon.robustness.results.collected import Entry
from smug_recon.robustness.results.summary import Result

CALLS = "denoiser_calls"


class _Figure(Declaration):
    file: str = Field(pattern=r"^[\w.-]+\.(png|svg)$")
    title: str
    study: str | list[str]
    steps: int | None = None

    @property
    def studies(self) -> list[str]:
        return [self.study] if isinstance(self.study, str) else self.study


class _Curves(_Figure):
    methods: list[str] = ["*"]
    across: str | dict[str, str]
    scale: Literal["linear", "log"] = "linear"
    clean: bool = False
    x_label: str = "strength"
    y_label: str = ""


class _Family(_Figure):
    columns: dict[str, str] = Field(min_length=1)
    lines: dict[str, str] = Field(min_length=1)
    levels: list[str] = []
    scale: Literal["linear", "log"] = "linear"
    x_label: str
    y_label: str = ""


class _TradeOff(_Figure):
    methods: list[str] = ["*"]
    columns: dict[str, str] = Field(min_length=2, max_length=2)
    calls: bool = True


def figure_of(said: str, entries: Sequence[Entry]) -> Figure:
    """Return the figure that a comment declares. DataError where it names what is not there."""
    kind = _kind(said)
    asked: _Figure = declared(KINDS[kind][0], said, f"a figure ({kind})")
    own = of_studies(entries, asked.studies)
    return Figure(asked.file, asked.title, KINDS[kind][1](asked, own))


def _kind(said: str) -> str:
    try:
        content = yaml.safe_load(said)
    except yaml.YAMLError as error:
        raise DataError(f"a figure that cannot be read ({error})", "YAML", "mend the comment") from None
    keys = set(content) if isinstance(content, dict) else set()
    return "curves" if "across" in keys else "family" if "lines" in keys else "trade-off"


def _curves(asked: _Curves, own: list[Result]) -> Curves:
    places = asked.across if isinstance(asked.across, dict) else {"": asked.across}
    names, used, panels = methods_of(own, asked.methods), [], []
    for title, place in places.items():
        perturbation, metric = words_of(place, "perturbation metric")
        strengths = {
            _number(result.strength, perturbation): result.strength
            for result in own
            if (result.perturbation, result.metric) == (perturbation, metric)
        }
        lines = []
        for name in names:
            found = {
                x: one_result(own, name, perturbation, strengths[x], metric, asked.steps)
                for x in sorted(strengths)
            }
            if asked.clean:
                found = {0.0: one_result(own, name, "clean", "0", metric, None), **found}
            there = {x: result for x, result in found.items() if result is not None}
            if any(x or not asked.clean for x in there):
                used += list(there.values())
                lines.append(Line(name, tuple(there), tuple(map(_value, there.values()))))
        panels.append(Panel(title, metric, tuple(lines)))
    _complete(panels, asked)
    return Curves(tuple(panels), asked.scale, asked.x_label, asked.y_label, _slices(used))


def _family(asked: _Family, own: list[Result]) -> Curves:
    used, panels = [], []
    for title, place in asked.columns.items():
        perturbation, strength, metric = words_of(place, "perturbation strength metric")
        lines = []
        for label, pattern in asked.lines.items():
            before, star, after = pattern.partition("*")
            if not star:
                raise DataError(
                    f"the line {pattern!r}", "a name with * for a number", "mend lines in the comment"
                )
            places = {}
            for name in methods_of(own, [pattern]):
                found = one_result(own, name, perturbation, strength, metric, asked.steps)
                if found is not None:
                    places[_number(name[len(before) : len(name) - len(after)], pattern)] = found
            used += list(places.values())
            if places:
                values = tuple(_value(places[x]) for x in sorted(places))
                lines.append(Line(label, tuple(sorted(places)), values))
        levels = {
            name: one_result(own, name, perturbation, strength, metric, asked.steps)
            for name in (methods_of(own, asked.levels) if asked.levels else [])
        }
        there = [(name, _value(result)) for name, result in levels.items() if result is not None]
        panels.append(Panel(title, metric, tuple(lines), tuple(there)))
    _complete(panels, asked)
    return Curves(tuple(panels), asked.scale, asked.x_label, asked.y_label, _slices(used))


def _trade_off(asked: _TradeOff, own: list[Result]) -> TradeOff:
    (x_label, x_place), (y_label, y_place) = asked.columns.items()
    across, up = (words_of(place, "perturbation strength metric") for place in (x_place, y_place))
    points, used = [], []
    for name in methods_of(own, asked.methods):
        x = one_result(own, name, across[0], across[1], across[2], asked.steps)
        y = one_result(own, name, up[0], up[1], up[2], asked.steps)
        if x is not None and y is not None:
            used += [x, y]
            points.append((_labelled(name, own, asked.calls), _value(x), _value(y)))
    if not points:
        raise DataError(
            f"no method with both {x_place} and {y_place} in {asked.file}",
            "two columns that some method has",
            "evaluate them, or mend the comment",
        )
    bases = {metric.partition("_minus_")[2] for metric in (across[2], up[2])}
    reference = next(iter(bases)) if len(bases) == 1 and "" not in bases else ""
    named = _labelled(reference, own, asked.calls) if reference else ""
    return TradeOff(tuple(points), named, x_label, y_label, _slices(used))


def _labelled(name: str, own: Sequence[Result], calls: bool) -> str:
    found = one_result(own, name, "clean", "0", CALLS, None) if calls else None
    return name if found is None else f"{name} ({found.mean:g})"


def _complete(panels: Sequence[Panel], asked: _Curves | _Family) -> None:
    empty = [panel.title or panel.metric for panel in panels if not panel.lines]
    if empty:
        raise DataError(
            f"nothing in {', '.join(empty)} of {asked.file}",
            "places that some method has",
            "evaluate them, or mend the comment",
        )
    if asked.scale == "log" and min(x for panel in panels for line in panel.lines for x in line.x) <= 0:
        raise DataError(f"0 on the log scale of {asked.file}", "scale: linear", "mend the comment")


def _value(result: Result) -> Value:
    return Value(result.mean, result.ci_low, result.ci_high)


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"{text!r} in {where}, which is no number", "a number to draw over", "make it a table"
        )
    return value


def _slices(used: Sequence[Result]) -> str:
    counts = sorted({result.n for result in used})
    many = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"mean and 95 % interval over {many} slice{'s' if counts[-1] > 1 else ''}"


KINDS: dict[str, tuple[type[_Figure], Callable[..., Curves | TradeOff]]] = {
    "curves": (_Curves, _curves),
    "family": (_Family, _family),
    "trade-off": (_TradeOff, _trade_off),
}
