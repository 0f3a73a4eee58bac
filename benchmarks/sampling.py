"""The shipped network under sampling patterns, calibration widths, folding and coil compression: PSNR against the truth.

    python benchmarks/sampling.py [patterns] [folding] [calibration] [compression]

prints the tables of docs/measured.md. Every scan is simulated (two axial slices of the synthetic head, which is no
training data, 192 x 192, 12 coils, SNR 40, noise scan) and reconstructed by the chain itself with the shipped pipeline.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import ismrmrd
import numpy as np

from smug_recon.gadgets.model.file import Model, load_model
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.scan import simulate_scan
from smug_recon.simulation.truth.scores import score

SCAN: dict[str, Any] = {
    "matrix_xy": (192, 192),
    "coils": 12,
    "slices": 2,
    "orientation": "axial",
    "spacing_mm": 20.0,
}


def measured(name: str, model: Model, overrides: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return one row: name, lines over sampled lines, PSNR and SSIM of SMUG and of CG-SENSE, seconds."""
    raw = simulate_scan(ScanSettings(**{**SCAN, **changes}))
    readouts = []
    for head, samples in zip(raw.heads, raw.samples, strict=True):
        readout = ismrmrd.Acquisition(ismrmrd.AcquisitionHeader.from_buffer_copy(head.tobytes()))
        readout.data[:] = samples
        readouts.append(readout)
    pipeline = load_pipeline().with_overrides(
        {"images.type": "float32", "images.conventional": True, **(overrides or {})}
    )
    sent: list[Any] = []
    start = time.perf_counter()
    run(readouts, sent.append, ismrmrd.xsd.CreateFromDocument(raw.xml), pipeline, model)
    seconds = time.perf_counter() - start
    cells = []
    for series in (1, 2):
        images = [image for image in sent if image.image_series_index == series]
        images.sort(key=lambda image: int(image.slice))
        found = score(np.stack([image.data[0, 0] for image in images]), raw.truth.whitened_syx)
        cells.append(f"{found.psnr_db:.2f} dB ({found.ssim:.3f})")
    net = raw.truth.mask_y.size / raw.truth.mask_y.sum()
    logging.info("%s: %.1f s", name, seconds)
    return f"| {name} | {net:.2f} | {cells[0]} | {cells[1]} |"


def patterns(model: Model) -> None:
    """Regular sampling with 24 calibration lines beside variable density of the same and of the named acceleration."""
    for acceleration in (2.0, 3.0, 4.0):
        print(measured(f"regular R={acceleration:g}", model, acceleration=acceleration, pattern="regular"))
    for acceleration in (1.78, 2.4, 2.9, 3, 4):
        print(measured(f"variable density R={acceleration:g}", model, acceleration=acceleration))


def folding(model: Model) -> None:
    """A field of view of 80 % of the smallest that holds the head, one and two sets of maps."""
    for pattern, acceleration in (("random", 3.0), ("regular", 3.0)):
        for setting in ("warn", "two-sets"):
            name = f"{pattern} R={acceleration:g}, {'one set' if setting == 'warn' else 'two sets'}"
            changes = {"fov": 0.8, "pattern": pattern, "acceleration": acceleration}
            print(measured(name, model, {"coil_maps.folding": setting}, **changes))


def calibration(model: Model) -> None:
    """Fewer and fewer calibration lines."""
    for acs in (24, 16, 10, 8, 6, 4):
        print(measured(f"{acs} calibration lines", model, acceleration=3, pattern="regular", acs=acs))


def compression(model: Model) -> None:
    """32 coils, compressed."""
    for method, channels in (("none", None), ("svd", 12), ("gcc", 12), ("svd", 6), ("gcc", 6)):
        settings = {"coil_compression.method": method, "coil_compression.channels": channels}
        name = f"{method} to {channels}" if channels else "all 32 coils"
        print(measured(name, model, settings, coils=32, acceleration=3, pattern="regular"))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("smug_recon.gadgets.flow.timing", "smug_recon.gadgets.readouts.virtual_coils"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    chosen = sys.argv[1:] or ["patterns", "folding", "calibration", "compression"]
    settings = load_pipeline()
    network = load_model(settings.model_path, settings.model.sha256, "cpu")
    for part in chosen:
        print(f"\n{part}\n\n| scan | net R | SMUG | CG-SENSE |\n|---|---|---|---|")
        {"patterns": patterns, "folding": folding, "calibration": calibration, "compression": compression}[
            part
        ](network)
        sys.stdout.flush()
