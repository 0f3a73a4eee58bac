"""How an image came about, as it tells itself: software, model, settings, seed, device, what stood in for the network.

An ``images.h5`` tells it in the Meta of its images, a DICOM file in derivation, comments and contributing equipment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ismrmrd

from smug_recon.errors import DataError
from smug_recon.replay.results.images import open_dataset

#: what is shown of the Meta, in this order: label, and the entries that make it up
FACTS: tuple[tuple[str, str], ...] = (
    ("series", "{SeriesDescription}"),
    ("made by", "{ImageProcessingHistory}"),
    ("FALLBACK", "{SmugFallback}: {SmugFallbackReason}"),
    ("model", "{SmugModel} {SmugModelVersion}"),
    ("model file", "SHA-256 {SmugModelSha256}"),
    ("smoothing", "seed {SmugSeed}, {SmugSamples} copies"),
    ("pipeline", "{SmugPipeline}, SHA-256 {SmugPipelineSha256}"),
    ("device", "{SmugDevice}"),
    ("software", "smug-recon {SmugReconVersion}, torch {SmugTorchVersion}"),
    ("lines", "{SmugLines}, acceleration {SmugAcceleration}"),
    ("coils", "{SmugCoils}"),
    ("bandwidth", "{SmugPixelBandwidthHz} Hz a pixel"),
    ("prewhitened", "{SmugPrewhitened}"),
    ("scale", "{ScaleFactor}"),
    ("clipped", "{SmugSaturatedVoxels} voxels"),
    ("comments", "{ImageComments}"),
)
TIMING = "SmugSeconds"


def explain(path: Path) -> str:
    """What the images of an ``images.h5`` or a DICOM file say of themselves, one line a fact; DataError."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError as error:
        raise DataError(
            f"no readable file {path} ({error.strerror})", "images.h5 or a DICOM file", "check the path"
        ) from None
    if start[:8] == b"\x89HDF\r\n\x1a\n":
        return "\n\n".join(of_images(path))
    if start[128:] == b"DICM":
        return table(of_dicom(path))
    raise DataError(
        f"{path.name}, which is neither HDF5 nor DICOM",
        "images.h5 of smug-recon replay, or a DICOM file of smug-recon dicom",
        "give one of them",
    )


def of_images(path: Path) -> Iterator[str]:
    """One text for every series of an ``images.h5``."""
    try:
        with open_dataset(path, "r") as dataset:
            groups = [name for name in dataset.list() if name.startswith("image")]
            if not groups:
                raise DataError(
                    f"no images in {path.name}",
                    "groups such as images_1",
                    "give the file that holds the images",
                )
            for group in groups:
                found = (dataset.read_image(group, n) for n in range(dataset.number_of_images(group)))
                yield f"{group}\n{table(of_series(found))}"
    except (OSError, LookupError, ValueError) as error:
        raise DataError(
            f"{path.name}, which cannot be read ({' '.join(str(error).split())[:200]})",
            "images.h5 of smug-recon replay",
            "write it again",
        ) from None


def of_series(images: Iterable[ismrmrd.Image]) -> list[tuple[str, str]]:
    """Label and text of every fact; where images differ, each text with the numbers of its images."""
    numbers: dict[str, dict[str, list[int]]] = {label: {} for label, _ in FACTS}
    seconds: dict[str, float] = {}
    count = 0
    for image in images:
        count += 1
        meta = {name: _text(value) for name, value in image.meta.items()}
        for label, pattern in FACTS:
            numbers[label].setdefault(filled(pattern, meta), []).append(int(image.image_index))
        for stage, spent in _stages(meta.get(TIMING, "")):
            seconds[stage] = seconds.get(stage, 0.0) + spent
    rows = [("images", str(count))]
    for label, _ in FACTS:
        texts = {text: which for text, which in numbers[label].items() if text}
        if len(texts) == 1 and len(next(iter(texts.values()))) == count:
            rows.append((label, next(iter(texts))))
        else:
            rows += [(label, f"{text}  [{_which(which)}]") for text, which in texts.items()]
    if seconds:
        longest = sorted(seconds.items(), key=lambda entry: -entry[1])
        rows.append(("seconds", ", ".join(f"{stage} {value:.3f}" for stage, value in longest)))
    return rows


def of_dicom(path: Path) -> list[tuple[str, str]]:
    """Label and text of what a DICOM file tells; nothing of the patient."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        found = pydicom.dcmread(path, stop_before_pixels=True)
    except (OSError, InvalidDicomError, ValueError, KeyError) as error:
        raise DataError(
            f"{path.name}, which cannot be read ({error})", "a DICOM file", "write it again"
        ) from None
    rows = [
        ("series", _text(found.get("SeriesDescription"))),
        ("image type", _text(found.get("ImageType"), "\\")),
        ("software", _text(found.get("SoftwareVersions"))),
        ("derivation", _text(found.get("DerivationDescription"))),
    ]
    for item in found.get("ContributingEquipmentSequence", []):
        rows.append(("made by", _text(item.get("ContributionDescription"))))
        if item.get("Manufacturer") == "smug-recon":
            rows.append(("versions", _text(item.get("SoftwareVersions"))))
    rows.append(("comments", _text(found.get("ImageComments"))))
    rows = [(label, text) for label, text in rows if text]
    if not rows:
        raise DataError(f"{path.name}, which tells nothing", "a DICOM image", "write it again")
    return rows


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Labels on the left, texts on the right."""
    return "\n".join(f"  {label:<12}{text}" for label, text in rows)


def filled(pattern: str, meta: Mapping[str, str]) -> str:
    """A pattern with its entries in place; nothing where none of them is there, a question mark for a missing one."""
    known = _Known(meta)
    text = pattern.format_map(known)
    return text if known.found else ""


class _Known(dict[str, str]):
    """Entries by name; counts those that were there."""

    def __init__(self, meta: Mapping[str, str]) -> None:
        super().__init__(meta)
        self.found = 0

    def __getitem__(self, name: str) -> str:
        value = self.get(name) or self.get(f"GADGETRON_{name}")
        self.found += value is not None
        return value or "?"


def _stages(text: str) -> Iterator[tuple[str, float]]:
    for part in text.split(", "):
        stage, _, spent = part.rpartition(" ")
        try:
            yield stage, float(spent)
        except ValueError:
            continue


def _text(value: Any, between: str = ", ") -> str:
    """A value or several in one line, without what a terminal would obey."""
    if value is None:
        return ""
    several = not isinstance(value, str) and hasattr(value, "__iter__")
    text = between.join(str(part) for part in value) if several else str(value)
    return "".join(sign if sign.isprintable() else " " for sign in text).strip()


def _which(numbers: list[int]) -> str:
    """Image numbers as ``images 1-3, 7``."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    shown = ", ".join(f"{low}-{high}" if high > low else str(low) for low, high in spans)
    return f"image{'s' if len(numbers) > 1 else ''} {shown}"
