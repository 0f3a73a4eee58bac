"""The picture of a scan on the index page: the image in the middle of its first series, small."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image as Picture

from smug_recon.replay.results.images import open_dataset
from smug_recon.replay.results.preview import grey_pictures

SIDE = 128
"""Longest side in pixels."""


def write_thumbnail(images: Path, series: Sequence[str], path: Path) -> None:
    """Write a grey PNG of at most ``SIDE`` pixels, turned and windowed as previews are."""
    with open_dataset(images, "r") as dataset:
        first = sorted(series)[0]
        middle = dataset.read_image(first, dataset.number_of_images(first) // 2)
    pictures = grey_pictures(middle)
    picture = pictures[len(pictures) // 2]
    picture.thumbnail((SIDE, SIDE), Picture.Resampling.BOX)
    picture.save(path, format="PNG")
