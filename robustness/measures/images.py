"""Images kept for the report: magnitudes of the example slices, clean and perturbed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smug_recon.robustness.jobs.context import Context
from smug_recon.robustness.jobs.job import Job, write_whole
from smug_recon.robustness.measures.measure import Measured

SHOWN = ("clean", "noise", "attack", "transfer")


def image_path(job: Job, folder: Path) -> Path:
    """Where the image of a job is kept."""
    return folder / "images" / f"{job.key}.npy"


def keep_example(job: Job, context: Context, measured: Measured) -> None:
    """Write magnitude and target, ``(2, y, x)`` float16 relative to the target's peak, where the job's slice is an example."""
    if measured.image_byx is None or job.probe.kind not in SHOWN or not job.example:
        return
    scene = context.scene(job.slice, job.scan)
    pair = np.stack([measured.image_byx[0].abs().cpu().numpy(), scene.target_byx[0].abs().cpu().numpy()])
    content = io.BytesIO()
    np.save(content, (pair / scene.peak).astype(np.float16), allow_pickle=False)
    write_whole(image_path(job, context.folder), content.getvalue())


def read_pair(path: Path) -> NDArray[np.float32]:
    """Return image and target, ``(2, y, x)``."""
    return np.load(io.BytesIO(path.read_bytes()), allow_pickle=False).astype(np.float32)
