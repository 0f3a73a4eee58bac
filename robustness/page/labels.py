"""Names beside lines and points, moved only as far as they must be to stay apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

DIRECTIONS = ((1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
DISTANCES_PT = (7, 15, 26, 40, 58)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places ``gap`` or more apart, in the order of the wanted ones and near them, between ``low`` and ``high``.

    Neighbours that would overlap become a block around the mean of what they want; with too many for the room the gap shrinks.
    """
    if not wanted:
        return []
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    blocks: list[tuple[float, list[int]]] = []  # lowest place and members
    for place in order:
        members = [place]
        while True:
            size = gap * (len(members) - 1)
            centre = sum(wanted[member] for member in members) / len(members)
            start = min(max(centre - size / 2, low), high - size)
            if not blocks or blocks[-1][0] + gap * len(blocks[-1][1]) <= start + 1e-12:
                break
            members = blocks.pop()[1] + members
        blocks.append((start, members))
    found = [0.0] * len(wanted)
    for start, members in blocks:
        for number, member in enumerate(members):
            found[member] = start + gap * number
    return found


def place_labels(
    axes: Any, labels: Sequence[str], points: Sequence[tuple[float, float]], colours: Sequence[Any]
) -> None:
    """Write the name of every point beside it, where it covers neither another name nor a point; a thin line leads to far ones."""
    from matplotlib.patheffects import withStroke

    scale = axes.figure.dpi / 72
    renderer = axes.figure.canvas.get_renderer()
    spots = axes.transData.transform(points)
    frame = axes.get_window_extent()
    taken: list[Any] = []
    for label, point, colour, (x, y) in zip(labels, points, colours, spots, strict=True):
        best: tuple[int, Any] | None = None
        for distance in DISTANCES_PT:
            for across, up in DIRECTIONS:
                text = axes.annotate(
                    label,
                    point,
                    xytext=(distance * across, distance * up),
                    textcoords="offset points",
                    ha=("right", "center", "left")[across + 1],
                    va=("top", "center", "bottom")[up + 1],
                    color=colour,
                    path_effects=[withStroke(linewidth=2.5, foreground="white")],
                    arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": colour}
                    if distance > 10
                    else None,
                )
                box = _box(text, renderer)
                covered = sum(box.overlaps(other) for other in taken)
                covered += sum(
                    box.x0 - 3 * scale < a < box.x1 + 3 * scale
                    and box.y0 - 3 * scale < b < box.y1 + 3 * scale
                    for a, b in spots
                    if (a, b) != (x, y)
                )
                covered += not (
                    frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
                )
                if best is None or covered < best[0]:
                    if best is not None:
                        best[1].remove()
                    best = (covered, text)
                else:
                    text.remove()
                if covered == 0:
                    break
            if best is not None and best[0] == 0:
                break
        assert best is not None
        taken.append(_box(best[1], renderer))


def _box(text: Any, renderer: Any) -> Any:
    from matplotlib.text import Text

    text.update_positions(renderer)
    return Text.get_window_extent(text, renderer)  # without its leading line
