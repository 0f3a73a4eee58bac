"""Example images declared in a page: kept images of a study's folder, and one picture of them with their errors."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from smug_recon.errors import DataError
from smug_recon.robustness.measures.images import read_pair
from smug_recon.robustness.page.chosen import Declaration, declared, words_of
from smug_recon.robustness.results.figures import ERROR_GAIN
from smug_recon.robustness.results.rows import as_text

WIDTH_IN, DPI, QUALITY = 8.0, 84, 48
BRIGHTEST = 0.65
AROUND_PX = 4


@dataclass(frozen=True)
class Kept:
    """An image of a study: magnitude and target, (y, x) relative to the target's peak."""

    method: str
    image_yx: NDArray[np.float32]
    target_yx: NDArray[np.float32]
    psnr_db: float


class Example(Declaration):
    """An example: see :mod:`smug_recon.robustness.page.document`."""

    file: str = Field(pattern=r"^[\w.-]+\.(png|webp)$")
    title: str
    study: str
    methods: list[str]
    perturbations: dict[str, str] = Field(min_length=1)
    slice: str | None = None
    steps: int | None = None


def example_of(said: str) -> Example:
    """Return the example that a comment declares. DataError."""
    example = declared(Example, said, "an example")
    for place in example.perturbations.values():
        words_of(place, "perturbation strength")
    return example


def kept_images(example: Example, folder: Path) -> dict[str, list[Kept]]:
    """Return the images of every declared perturbation, methods in their order. DataError where one is missing or not unique."""
    records = [(path, _record(path, folder)) for path in sorted((folder / "images").glob("*.npy"))]
    found: dict[str, list[Kept]] = {}
    for title, place in example.perturbations.items():
        perturbation, strength = words_of(place, "perturbation strength")
        found[title] = []
        for method in example.methods:
            wanted = {"method": method, "perturbation": perturbation, "strength": strength}
            wanted |= {"slice": example.slice} if example.slice else {}
            fitting = [(path, record) for path, record in records if _fits(record, wanted, example.steps)]
            if len(fitting) != 1:
                slices = sorted({str(record.get("slice")) for _, record in records})
                raise DataError(
                    f"{len(fitting)} kept images of {method} under {place} in {folder}",
                    "one",
                    f"evaluate it with examples, or say slice (of {', '.join(slices) or 'none'}) and steps in the comment",
                )
            ((path, record),) = fitting
            image, target = read_pair(path)
            found[title].append(Kept(method, image, target, float(record["metrics"]["psnr_db"])))
    return found


def _record(path: Path, folder: Path) -> dict[str, Any]:
    job = folder / "jobs" / path.stem[:2] / f"{path.stem}.json"
    return dict(json.loads(job.read_text())) if job.is_file() else {}


def _fits(record: Mapping[str, Any], wanted: Mapping[str, str], steps: int | None) -> bool:
    said = {**record, "strength": as_text(record.get("strength", ""))}
    return all(said.get(key) == value for key, value in wanted.items()) and (
        steps is None or record.get("steps") in (0, steps)
    )


def example_drawn(example: Example, found: Mapping[str, Sequence[Kept]]) -> bytes:
    """Return the picture: for every perturbation a row of magnitudes and one of errors. ImportError without matplotlib."""
    import matplotlib
    import matplotlib.figure

    rows, columns = 2 * len(found), 1 + len(example.methods)
    first = next(iter(found.values()))[0]
    inside = np.argwhere(first.target_yx > 0.08)
    (top, left), (bottom, right) = inside.min(0), inside.max(0) + 1
    cut = (
        slice(max(top - AROUND_PX, 0), bottom + AROUND_PX),
        slice(max(left - AROUND_PX, 0), right + AROUND_PX),
    )
    high, wide = first.target_yx[cut].shape
    tile_in = WIDTH_IN / columns
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        height_in = rows * (tile_in * high / wide + 0.17) + 0.1
        picture = matplotlib.figure.Figure(figsize=(WIDTH_IN, height_in), dpi=DPI)
        all_axes = picture.subplots(rows, columns, squeeze=False)
        picture.subplots_adjust(0.002, 0.004, 0.998, 1 - 0.2 / height_in, 0.02, 0.17 / tile_in * wide / high)
        for axes in all_axes.flat:
            axes.axis("off")
        for number, (title, images) in enumerate(found.items()):
            upper, lower = all_axes[2 * number], all_axes[2 * number + 1]
            if number == 0:
                _show(upper[0], "target", first.target_yx[cut], "gray")
            said = f"above:\n{title}\n\nhere: error of the\nmagnitude, x {ERROR_GAIN:g}"
            lower[0].text(
                0.5, 0.55, said, ha="center", va="center", fontsize=7.5, transform=lower[0].transAxes
            )
            for place, kept in enumerate(images, start=1):
                error = ERROR_GAIN * np.abs(kept.image_yx - kept.target_yx)
                _show(upper[place], kept.method, kept.image_yx[cut], "gray")
                _show(lower[place], f"{kept.psnr_db:.1f} dB", error[cut], "magma")
        content = io.BytesIO()
        if example.file.endswith(".webp"):
            picture.savefig(content, format="webp", pil_kwargs={"quality": QUALITY, "method": 6})
        else:
            picture.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _show(axes: Any, title: str, image_yx: NDArray[np.float32], colours: str) -> None:
    axes.imshow(image_yx, cmap=colours, vmin=0, vmax=BRIGHTEST)
    axes.set_title(title, fontsize=7, pad=2)
