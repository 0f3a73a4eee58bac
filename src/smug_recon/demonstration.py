"""The demo: a synthetic head is scanned, reconstructed through the node, and compared with what it really is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smug_recon.replay import ReplayResult, replay
from smug_recon.replay.offline import Progress
from smug_recon.replay.results.images import read_images
from smug_recon.report import write_report
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import write_raw
from smug_recon.simulation.scan import simulate_scan
from smug_recon.simulation.truth.panel import write_panel
from smug_recon.simulation.truth.scores import Scores, score
from smug_recon.simulation.truth.truth import Truth, write_truth


@dataclass(frozen=True)
class Demonstration:
    """What the demo found: the replay, and the scores of each kind of image (SMUG, CG-SENSE)."""

    result: ReplayResult
    scores: Mapping[str, Scores]


def demonstrate(
    settings: ScanSettings, out: Path, pipeline: Path | str | None = None, progress: Progress | None = None
) -> Demonstration:
    """Simulate, replay and compare; write everything to the folder ``out``.

    The pipeline is run with its conventional series switched on, so that CG-SENSE is made from the same lines
    and maps.
    """
    scan = simulate_scan(settings)
    write_raw(scan, out / "raw.h5")
    write_truth(scan.truth, out / "truth.h5")
    quiet: Progress = lambda acquisitions, total, images: None  # noqa: E731
    result = replay(
        out / "raw.h5",
        out,
        pipeline,
        overrides={"images.conventional": "true"},
        progress=progress or quiet,
        notebook=True,
    )
    write_report(out)
    series, reference_syx = _series(result, scan.truth)
    scores = {role: score(images_syx, reference_syx) for role, images_syx in series.items()}
    found = {role: dataclasses.asdict(value) for role, value in scores.items()}
    (out / "scores.json").write_text(json.dumps(found, indent=2) + "\n")
    write_panel(reference_syx, series, out / "comparison.png")
    return Demonstration(result, scores)


def _series(result: ReplayResult, truth: Truth) -> tuple[dict[str, NDArray], NDArray[np.complex64]]:
    """Return the images (slice, y, x) by kind, and the truth shaded as they are."""
    series: dict[str, NDArray] = {}
    whitened = False
    for group in result.series:
        for image in read_images(result.images, group):
            role = image.meta["ImageProcessingHistory"][1]
            whitened = image.meta["SmugPrewhitened"] == "1"
            slices_syx = series.setdefault(role, np.zeros(truth.image_syx.shape, np.float32))
            slices_syx[image.slice] = np.abs(image.data[0, 0])
    return series, truth.whitened_syx if whitened else truth.image_syx
