"""Images against the truth, matched by the counters in their headers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from smug_recon.errors import ConfigurationError, DataError
from smug_recon.simulation.truth.scores import Scores, scores_at
from smug_recon.simulation.truth.truth import COUNTERS


class Where(NamedTuple):
    """Which image of a scan: the counters of its header; ``partition`` is 0 in two dimensions."""

    slice: int
    partition: int
    contrast: int
    phase: int
    repetition: int
    set: int

    def __str__(self) -> str:
        fields = list(zip(self._fields, self, strict=True))
        return ", ".join(f"{name} {value}" for name, value in fields if value or name == "slice")


@dataclass(frozen=True)
class Picture:
    """One image (y, x) and where it belongs; ``whitened`` if it was made from prewhitened data."""

    where: Where
    pixels_yx: NDArray
    whitened: bool = False


@dataclass(frozen=True)
class Comparison:
    """Scores of one series as a whole, and of each of its images, all with one scale."""

    scale: float
    whole: Scores
    images: Mapping[Where, Scores]


class TruthFile:
    """A truth file, open: reference images by their counters, read one at a time."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise ConfigurationError(
                f"{path}, which HDF5 cannot open ({error})",
                "a truth file of smug-recon simulate --truth, or images of smug-recon replay",
                "check the path",
            ) from None
        if "image_syx" not in self._file:
            self._file.close()
            raise ConfigurationError(
                f"{path.name} without image_syx", "a file of smug-recon simulate --truth", "check the path"
            )
        count = len(self._file["image_syx"])
        counters = [
            self._file[f"{name}_s"][()] if f"{name}_s" in self._file else self._slices(name, count)
            for name in COUNTERS
        ]
        self._index = {
            Where(*map(int, row)): number for number, row in enumerate(zip(*counters, strict=True))
        }
        self.partitions = 1 + max(where.partition for where in self._index)

    @staticmethod
    def _slices(name: str, count: int) -> NDArray[np.int64]:
        return np.arange(count) if name == "slice" else np.zeros(count, np.int64)

    def image(self, where: Where, whitened: bool) -> NDArray[np.complex64] | None:
        """Return the reference of an image, shaded as a chain with or without prewhitening does it."""
        number = self._index.get(where)
        if number is None:
            return None
        return self._file["whitened_syx" if whitened else "image_syx"][number]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ImageReference:
    """Images of another reconstruction in the place of the truth."""

    def __init__(self, pictures: Iterable[Picture]) -> None:
        self._pictures = {picture.where: picture.pixels_yx for picture in pictures}
        self.partitions = 1 + max((where.partition for where in self._pictures), default=0)

    def image(self, where: Where, whitened: bool) -> NDArray | None:
        """Return the reference of an image."""
        return self._pictures.get(where)


Reference = TruthFile | ImageReference


def pictures(images: Iterable[Any], partitions: int) -> Iterator[Picture]:
    """Yield the pictures (y, x) of ISMRMRD images.

    A volume (z, y, x) is taken apart. With more than one of ``partitions`` in the truth, images of one plane
    each count their partitions in ``slice``.
    """
    for image in images:
        data = np.asarray(image.data)
        if data.shape[0] != 1:
            raise DataError(
                f"an image of {data.shape[0]} channels",
                "images of one channel, combined from all coils",
                "compare the series of combined images",
            )
        head = image.getHead()
        rest = (int(head.contrast), int(head.phase), int(head.repetition), int(head.set))
        whitened = image.meta.get("SmugPrewhitened") == "1"
        for z, pixels_yx in enumerate(data[0]):
            place = (int(head.slice), z)
            if data.shape[1] == 1 and partitions > 1:
                place = (0, int(head.slice))
            yield Picture(Where(*place, *rest), np.abs(pixels_yx), whitened)


def compare_series(name: str, found: Callable[[], Iterable[Picture]], truth: Reference) -> Comparison:
    """Compare a series after its best single scale ``<|x|, |t|> / <|x|, |x|>``.

    ``found`` reads the images; it is called twice, and one image at a time is in memory. PSNR, SSIM and NRMSE
    are those of :func:`~smug_recon.simulation.truth.scores.score`, of the series with the peak of all its truth, of
    each image with the peak of its own. An image that is empty in the truth (an outer partition of a slab) has
    the peak of the series and no NRMSE.

    Raises:
        DataError: an image that the truth does not have, has twice, or has in another shape; no image.
    """
    cross = power = top = 0.0
    seen: set[Where] = set()
    for picture, wanted_yx in _pairs(name, found(), truth):
        if picture.where in seen:
            raise DataError(
                f"two images of {picture.where} in {name}",
                "one image of each slice, contrast, phase, repetition and set",
                "compare one series at a time, with averages combined",
            )
        seen.add(picture.where)
        cross += float((picture.pixels_yx * wanted_yx).sum())
        power += float((picture.pixels_yx**2).sum())
        top = max(top, float(wanted_yx.max()))
    if not seen:
        raise DataError(f"no image in {name}", "at least one", "give the file with the images")
    scale = cross / power if power > 0 else 0.0
    images: dict[Where, Scores] = {}
    square = energy = ssim = 0.0
    count = 0
    for picture, wanted_yx in _pairs(name, found(), truth):
        scaled_yx = scale * picture.pixels_yx
        peak = float(wanted_yx.max())
        images[picture.where] = scores_at(scaled_yx[None], wanted_yx[None], peak if peak > 0 else top)
        square += float(((scaled_yx - wanted_yx) ** 2).sum())
        energy += float((wanted_yx**2).sum())
        count += wanted_yx.size
        ssim += scores_at(scaled_yx[None], wanted_yx[None], top).ssim / len(seen)
    psnr_db = 10 * math.log10(top**2 * count / square) if square > 0 and top > 0 else math.inf
    whole = Scores(psnr_db, ssim, math.sqrt(square / energy) if energy > 0 else math.inf)
    return Comparison(scale, whole, dict(sorted(images.items())))


def _pairs(
    name: str, found: Iterable[Picture], truth: Reference
) -> Iterator[tuple[Picture, NDArray[np.float64]]]:
    """Yield every image, as float64, with the magnitudes it is compared with."""
    for picture in found:
        wanted_yx = truth.image(picture.where, picture.whitened)
        if wanted_yx is None:
            raise DataError(
                f"an image of {picture.where} in {name}, which the truth does not have",
                "images of the scan that the truth belongs to",
                "give the truth file that was written together with the raw file of these images",
            )
        if wanted_yx.shape != picture.pixels_yx.shape:
            sizes = [" x ".join(map(str, array.shape)) for array in (picture.pixels_yx, wanted_yx)]
            raise DataError(
                f"an image of {sizes[0]} pixels in {name}",
                f"{sizes[1]} (rows x columns) as in the truth",
                "give the truth of this scan: matrix, phase oversampling and recon matrix must be equal",
            )
        yield (
            Picture(picture.where, picture.pixels_yx.astype(np.float64), picture.whitened),
            np.abs(wanted_yx).astype(np.float64),
        )
