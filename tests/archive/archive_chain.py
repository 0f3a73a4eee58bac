"""Small raw scans through the real chain: a model that does next to nothing, and what must be equal of two results."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
import pydicom
import torch
from small_card import CARD
from small_scan import LINES_Y, SmallScan, header_xml
from torch import Tensor

from smug_recon.gadgets.model.file import sha256_of
from smug_recon.replay.results.images import groups, open_dataset, read_images

WANTED = {"dicom": True, "preview": True, "nifti": False, "enhanced": False, "anonymise": False}


class Seeded(torch.nn.Module):
    """Coil combination of the transformed lines, with a trace of seeded noise: the shapes of a model without its weights."""

    def forward(
        self, kspace_bcyx: Tensor, maps_bcyx: Tensor, mask: Tensor, seed: int, samples: int
    ) -> tuple[Tensor, Tensor]:
        images = torch.fft.ifft(kspace_bcyx * mask[:, None, :, None], dim=2)
        image_byx = (maps_bcyx.conj() * images).sum(1) + 1e-3 * float(seed) + 0.0 * float(samples)
        return image_byx, torch.zeros_like(image_byx.real)


def tiny_model(path: Path) -> dict[str, str]:
    """What makes a pipeline run a model that does next to nothing, written to ``path``."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit", category=DeprecationWarning)
        torch.jit.save(
            torch.jit.script(Seeded()), str(path), _extra_files={"card.json": json.dumps(CARD).encode()}
        )
    return {"model.file": str(path), "model.sha256": sha256_of(path), "device": "cpu", "seed": "3"}


def write_scan(
    path: Path,
    slices: int = 2,
    repetitions: int = 1,
    shift: float = 0.0,
    calibrated: tuple[int, ...] | None = None,
) -> Path:
    """A small raw scan with a noise scan; ``shift`` tells one from another, ``calibrated`` are the repetitions with ACS lines."""
    scan = SmallScan(np.random.default_rng(int(10 * shift)))
    scan.add_noise_scan()
    for repetition in range(repetitions):
        for number in range(slices):
            bare = calibrated is not None and repetition not in calibrated
            lines = sorted([*range(0, LINES_Y, 3), LINES_Y // 2 - 1, LINES_Y // 2 + 1]) if bare else None
            scan.add_slice(number, lines, noise_level=1e-3 * (1 + shift), repetition=repetition)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_dataset(path, "w") as dataset:
        patient = "<subjectInformation><patientName>DOE^JANE</patientName><patientID>MRN-4711</patientID></subjectInformation>"
        xml = header_xml(slices=slices, repetitions=repetitions)
        dataset.write_xml_header(
            xml.replace("<measurementInformation>", f"{patient}<measurementInformation>", 1).encode()
        )
        for readout in scan.readouts:
            dataset.append_acquisition(readout)
    return path


def pictures(images: Path) -> list[tuple[str, bytes, bytes, dict[str, Any]]]:
    """Every image: header, pixels and attributes without the seconds it took."""
    found = []
    for group in groups(images):
        for image in read_images(images, group):
            meta = {name: value for name, value in image.meta.items() if name != "SmugSeconds"}
            head = ismrmrd.ImageHeader.from_buffer_copy(image.getHead())
            head.attribute_string_len = 0  # the seconds are in that string
            found.append((group, bytes(head), image.data.tobytes(), meta))
    return found


def files_of(out: Path) -> dict[str, bytes]:
    """Previews as they are, DICOM files without what is drawn by chance or the clock."""
    found = {path.name: path.read_bytes() for path in sorted((out / "preview").iterdir())}
    for path in sorted((out / "dicom").iterdir()):
        found[path.name] = pydicom.dcmread(path).PixelData
    return found


def request(raw: Path, out: Path, overrides: dict[str, str]) -> dict[str, Any]:
    return {
        "raw": str(raw),
        "out": str(out),
        "pipeline": None,
        "overrides": overrides,
        "wanted": WANTED,
        "patience_s": 60.0,
    }
