"""GIF films of what moves: the cardiac phases or repetitions of every slice, or a walk through a stack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import ismrmrd
import numpy as np
from PIL import Image as Picture

from smug_recon.dicom.moments import moment, resolution_ms, trigger_times_ms
from smug_recon.replay.results.preview import grey_pictures, window
from smug_recon.whole_file import whole_file

SHORTEST_MS, LONGEST_MS, USUAL_MS = 20, 500, 80
"""Time a picture is shown: what was acquired, within what a viewer can show; for a walk through slices the usual."""


def write_animations(
    images: Iterable[ismrmrd.Image], folder: Path, stem: str, stack: bool = True
) -> list[Path]:
    """Write ``STEM_slice_001.gif`` for every slice with several moments, else ``STEM_stack.gif`` through the slices.

    ``stack`` false leaves out the latter.

    One window for all pictures of a film. Contrasts are films of their own (``_e2``). Nothing is written for a single
    image. A file has its name only when it is complete.
    """
    found: dict[tuple[int, int], list[ismrmrd.Image]] = {}
    for image in images:
        found.setdefault((int(image.contrast), int(image.slice)), []).append(image)
    moving = any(len({moment(image) for image in group}) > 1 for group in found.values())
    if not moving and not stack:
        return []
    films: dict[str, list[ismrmrd.Image]] = {}
    for (contrast, number), group in sorted(found.items()):
        echo = f"_e{contrast + 1}" if contrast else ""
        name = f"{stem}{echo}_slice_{number + 1:03d}" if moving else f"{stem}{echo}_stack"
        films.setdefault(name, []).extend(sorted(group, key=moment))
    folder.mkdir(parents=True, exist_ok=True)
    return [path for name, film in films.items() if (path := _write(film, folder / f"{name}.gif", moving))]


def picture_ms(film: Sequence[ismrmrd.Image]) -> int:
    """How long a picture stays: the step of the trigger delays, else of the repetitions, else ``USUAL_MS``."""
    delays = list(trigger_times_ms(film).values())
    step_ms = float(np.median(np.diff(delays))) if len(delays) > 1 else resolution_ms(film) or USUAL_MS
    return int(min(max(step_ms, SHORTEST_MS), LONGEST_MS))


def _write(film: Sequence[ismrmrd.Image], path: Path, moving: bool) -> Path | None:
    shown = [window(image, np.abs(image.data)) for image in film]
    shared = (min(low for low, _ in shown), max(high for _, high in shown))
    pictures = [picture for image in film for picture in grey_pictures(image, shared)]
    if len(pictures) < 2 or len({picture.size for picture in pictures}) > 1:
        return None
    frames: list[Picture.Image] = pictures
    with whole_file(path) as unfinished:
        frames[0].save(
            unfinished,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=picture_ms(film) if moving else USUAL_MS,
            loop=0,
            optimize=False,
        )
    return path
