"""Declared figures as pictures: lines told apart by marker, dashes and a name at their end, not by colour alone.

Colours are those of Okabe and Ito (jfly.uni-koeln.de/color), which readers with any colour vision can tell. Equal numbers give
equal bytes with one version of matplotlib: the files hold no date and no version, but the hash of what they show.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from smug_recon.robustness.page.labels import place_labels, spread
from smug_recon.robustness.page.shown import Curves, Figure, Panel, TradeOff
from smug_recon.robustness.results.tables import TITLES

COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
GREY = "#666666"
WIDTH_IN, HEIGHT_IN, DPI = 8.0, 4.2, 130
TEXT = 8.5
APART_PT = 2.4  # between the bars of neighbouring lines at one x
SETTINGS = {
    "font.size": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": TEXT + 0.5,
    "axes.linewidth": 0.6,
    "svg.hashsalt": "smug-recon",
}


def drawn(figure: Figure) -> bytes:
    """Return the picture of a declared figure, PNG or SVG as its name says. ImportError without matplotlib."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        picture = picture_of(figure)
        content = io.BytesIO()
        if figure.file.endswith(".svg"):
            about = {"Date": None, "Creator": None, "Source": figure.digest}
            picture.savefig(content, format="svg", metadata=about)
            return content.getvalue()
        picture.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    said = PngImagePlugin.PngInfo()
    said.add_text("Source", figure.digest)
    small = io.BytesIO()
    few = (
        Image.open(content).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    few.save(small, "PNG", optimize=True, pnginfo=said)
    return small.getvalue()


def digest_of(path: Path) -> str:
    """Return the hash of what a drawn figure shows, empty where the file has none."""
    if path.suffix == ".svg":
        text = path.read_text(encoding="utf-8")
        return text.partition("<dc:source>")[2].partition("</dc:source>")[0].strip()
    with Image.open(path) as image:
        return str(image.info.get("Source", ""))


def picture_of(figure: Figure) -> Any:
    """Return a declared figure as a matplotlib figure."""
    import matplotlib.figure
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    picture = matplotlib.figure.Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI)
    FigureCanvasAgg(picture)  # measures text
    (_draw_curves if isinstance(figure.shown, Curves) else _draw_trade_off)(picture, figure.shown)  # type: ignore[arg-type]
    picture.text(0.99, 0.012, figure.shown.slices, ha="right", fontsize=TEXT - 2, color=GREY)
    return picture


def _draw_curves(picture: Any, shown: Curves) -> None:
    names = list(dict.fromkeys(name for panel in shown.panels for name in _names(panel)))
    last = {name: max(n for n, one in enumerate(shown.panels) if name in _names(one)) for name in names}
    same = len({panel.metric for panel in shown.panels}) == 1
    room = (0.065 * max(map(len, names)) + 0.3) / WIDTH_IN  # for the names at the right
    apart = 0.08 + (0.0 if same else 0.25) + (room * len(shown.panels) if len(set(last.values())) > 1 else 0)
    all_axes = picture.subplots(1, len(shown.panels), squeeze=False)[0]
    picture.subplots_adjust(
        left=0.07,
        right=1 - room,
        bottom=0.15,
        top=0.93 if any(panel.title for panel in shown.panels) else 0.97,
        wspace=apart,
    )
    spans = [_span(panel) for panel in shown.panels]
    whole = (min(low for low, _ in spans), max(high for _, high in spans))
    for number, (axes, panel) in enumerate(zip(all_axes, shown.panels, strict=True)):
        _lines(axes, panel, names)
        _scales(axes, panel, shown.scale, whole if same else spans[number])
        axes.set_title(panel.title)
        axes.set_xlabel(shown.x_label)
        if number == 0 or not same:
            axes.set_ylabel(shown.y_label or TITLES.get(panel.metric, panel.metric))
        else:
            axes.tick_params(labelleft=False)
        _end_labels(axes, panel, [name for name in _names(panel) if last[name] == number], names)


def _names(panel: Panel) -> list[str]:
    return [line.label for line in panel.lines] + [name for name, _ in panel.levels]


def _span(panel: Panel) -> tuple[float, float]:
    values = [value for line in panel.lines for value in line.values]
    means = [value.mean for value in values] + [value.mean for _, value in panel.levels]
    return min([*means, *(value.low for value in values)]), max([*means, *(value.high for value in values)])


def _style(number: int) -> dict[str, Any]:
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
    }


def _ink(number: int) -> tuple[float, ...]:
    """Return the colour of a line, darker: letters of light colours are hard to read."""
    from matplotlib.colors import to_rgb

    return tuple(0.7 * part for part in to_rgb(_style(number)["color"]))


def _lines(axes: Any, panel: Panel, names: Sequence[str]) -> None:
    from matplotlib.transforms import ScaledTranslation

    for turn, line in enumerate(panel.lines):
        shift_in = APART_PT / 72 * (turn - (len(panel.lines) - 1) / 2)
        moved = axes.transData + ScaledTranslation(shift_in, 0, axes.figure.dpi_scale_trans)
        style = _style(names.index(line.label))
        means = [value.mean for value in line.values]
        axes.plot(line.x, means, label=line.label, markersize=4.5, linewidth=1.1, transform=moved, **style)
        axes.vlines(
            line.x,
            [value.low for value in line.values],
            [value.high for value in line.values],
            label=line.label,
            color=style["color"],
            linewidth=0.8,
            alpha=0.55,
            transform=moved,
        )
    for name, value in panel.levels:
        style = {**_style(names.index(name)), "marker": ""}
        axes.axhline(value.mean, label=name, linewidth=0.9, **style)


def _scales(axes: Any, panel: Panel, scale: str, span: tuple[float, float]) -> None:
    margin = 0.04 * ((span[1] - span[0]) or 1.0)
    axes.set_ylim(span[0] - margin, span[1] + margin)
    x = sorted({value for line in panel.lines for value in line.x})
    axes.set_xscale(scale)
    if scale == "log":
        axes.set_xlim(x[0] / 1.3, x[-1] * 1.3)
    else:
        side = 0.06 * ((x[-1] - x[0]) or 1.0)
        axes.set_xlim(x[0] - side, x[-1] + side)
    places = axes.transAxes.inverted().transform(axes.transData.transform([(value, span[0]) for value in x]))
    told: list[int] = []
    for number, (place, _) in enumerate(places):
        if not told or place - places[told[-1]][0] > 0.07 * len(axes.figure.axes) ** 0.5:
            told.append(number)
    axes.set_xticks([x[number] for number in told], [f"{x[number]:g}" for number in told])
    axes.minorticks_off()
    axes.grid(alpha=0.25, linewidth=0.5)


def _end_labels(axes: Any, panel: Panel, wanted: Sequence[str], names: Sequence[str]) -> None:
    """Name lines at the right of the axes, at the height of their ends as far as there is room."""
    ends = {line.label: (line.x[-1], line.values[-1].mean) for line in panel.lines}
    ends |= {name: (axes.get_xlim()[1], value.mean) for name, value in panel.levels}
    if not wanted:
        return
    inside = axes.transAxes.inverted().transform(axes.transData.transform([ends[name] for name in wanted]))
    height_pt = axes.get_window_extent().height / axes.figure.dpi * 72
    heights = spread([float(y) for _, y in inside], 1.25 * TEXT / height_pt, 0.0, 1.0)
    for name, height in zip(wanted, heights, strict=True):
        colour = _ink(names.index(name))
        axes.annotate(
            name,
            ends[name],
            xytext=(1.04, height),
            textcoords="axes fraction",
            color=colour,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "alpha": 0.6, "shrinkA": 1},
        )


def _draw_trade_off(picture: Any, shown: TradeOff) -> None:
    axes = picture.subplots()
    picture.subplots_adjust(left=0.08, right=0.97, bottom=0.15, top=0.96)
    if shown.reference:
        axes.axhline(0, color=GREY, linewidth=0.6)
        axes.axvline(0, color=GREY, linewidth=0.6)
    points = [(x.mean, y.mean) for _, x, y in shown.points]
    for number, (label, x, y) in enumerate(shown.points):
        style = _style(number)
        bars = {"color": style["color"], "linewidth": 0.8, "alpha": 0.45, "label": label}
        axes.hlines([y.mean], [x.low], [x.high], **bars)
        axes.vlines([x.mean], [y.low], [y.high], **bars)
        axes.plot([x.mean], [y.mean], label=label, markersize=6, **{**style, "linestyle": ""})
    labels = [label for label, _, _ in shown.points]
    if shown.reference:
        labels, points = [*labels, shown.reference], [*points, (0.0, 0.0)]
        axes.plot([0], [0], label=shown.reference, marker="+", markersize=9, color=GREY, linestyle="")
    axes.margins(0.06)
    axes.autoscale_view()
    axes.set_xlabel(shown.x_label)
    axes.set_ylabel(shown.y_label)
    axes.grid(alpha=0.25, linewidth=0.5)
    place_labels(axes, labels, points, [*map(_ink, range(len(shown.points))), GREY][: len(labels)])
