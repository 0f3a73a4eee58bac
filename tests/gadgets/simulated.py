"""Simulated scans as lists of acquisitions, run through the chain, and compared with the truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import ismrmrd
import numpy as np

from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import RawScan
from smug_recon.simulation.scan import simulate_scan
from smug_recon.simulation.truth.scores import score

NOISE = 1 << (ismrmrd.ACQ_IS_NOISE_MEASUREMENT - 1)
SMALL: dict[str, Any] = {
    "matrix_xy": (48, 64),
    "coils": 4,
    "slices": 1,
    "acceleration": 2.0,
    "acs": 16,
    "pattern": "regular",
}
SLAB: dict[str, Any] = {"matrix_xy": (32, 48), "matrix_z": 8, "thickness_mm": 8.0, "oversampling": 1}
POISSON = {**SLAB, "acceleration": 2.0, "pattern": "poisson", "acs": 8}


@cache
def _simulated(settings: ScanSettings) -> RawScan:
    return simulate_scan(settings)


def scan(**changes: Any) -> RawScan:
    """Return a small simulated scan, each kind made once."""
    return _simulated(ScanSettings(**{**SMALL, **changes}))


def header_of(raw: RawScan) -> Any:
    """Return a header of one's own to change."""
    return ismrmrd.xsd.CreateFromDocument(raw.xml)


def readouts_of(raw: RawScan) -> list[ismrmrd.Acquisition]:
    """Return acquisitions of one's own to change."""
    made = []
    for head, samples in zip(raw.heads, raw.samples, strict=True):
        readout = ismrmrd.Acquisition(ismrmrd.AcquisitionHeader.from_buffer_copy(head.tobytes()))
        readout.data[:] = samples
        made.append(readout)
    return made


def parts_of(raw: RawScan) -> tuple[list[ismrmrd.Acquisition], list[ismrmrd.Acquisition]]:
    """Return noise readouts and the others."""
    readouts = readouts_of(raw)
    return [r for r in readouts if r.flags & NOISE], [r for r in readouts if not r.flags & NOISE]


@dataclass
class Result:
    """What left the chain."""

    images: list[ismrmrd.Image]
    others: list[Any]
    report: Report

    @property
    def comments(self) -> str:
        """The comments of the first image."""
        return str(self.images[0].meta["ImageComments"])

    def nrmse(self, truth_syx: np.ndarray) -> float:
        """The error of all images after one common scale."""
        return score(np.stack([image.data[0, 0] for image in self.images]), truth_syx).nrmse


def reconstructed(items: list[Any], header: Any, model: Any, **overrides: Any) -> Result:
    """Run the chain; images leave as float32 unless told otherwise."""
    sent: list[Any] = []
    pipeline = load_pipeline().with_overrides({"images.type": "float32", **overrides})
    report = run(items, sent.append, header, pipeline, model)
    images = [item for item in sent if isinstance(item, ismrmrd.Image)]
    return Result(images, [item for item in sent if not isinstance(item, ismrmrd.Image)], report)
