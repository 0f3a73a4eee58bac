"""Every case that ``smug-recon simulate`` can make goes through the chain and meets its own truth.

Images are matched by their counters, so one that carries those of another image fails here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ismrmrd
import pytest
from simulated import header_of, scan

from smug_recon.errors import DataError
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.scan import run
from smug_recon.gadgets.survey.heads import survey
from smug_recon.pipeline import load_pipeline
from smug_recon.simulation.raw.file import RawScan
from smug_recon.simulation.truth.compare import Comparison, TruthFile, compare_series, pictures
from smug_recon.simulation.truth.truth import write_truth

EXTRA = ("dummy", "navigator", "phase-correction", "surface-coil", "feedback")
VOLUME = {"matrix_xy": (32, 40), "matrix_z": 12, "thickness_mm": 8.0, "acs": 10}
#: settings of the scan and the relative error of the whole series that is allowed
CASES: dict[str, tuple[dict[str, Any], float]] = {
    "plain": ({}, 0.05),
    "random": ({"pattern": "random"}, 0.2),
    "separate": ({"calibration": "separate"}, 0.08),
    "external": ({"calibration": "external"}, 0.08),
    "unflagged": ({"calibration": "unflagged"}, 0.05),
    "no oversampling": ({"oversampling": 1}, 0.05),
    "odd sizes": ({"matrix_xy": (47, 63)}, 0.05),
    "partial Fourier": ({"partial_fourier": 0.75}, 0.1),
    "asymmetric echo": ({"asymmetric_echo": 0.2}, 0.1),
    "both": ({"partial_fourier": 0.75, "asymmetric_echo": 0.2}, 0.15),
    "contrasts, phases": ({"contrasts": 2, "phases": 3}, 0.05),
    "repetitions, sets": ({"repetitions": 3, "sets": 2}, 0.05),
    "averages": ({"averages": 3, "segments": 2, "snr": 30.0}, 0.06),
    "slices": ({"slices": 3, "spacing_mm": 20.0}, 0.05),
    "one after the other": ({"slices": 2, "interleaved": False, "phases": 2}, 0.05),
    "phase oversampling": ({"phase_oversampling": 0.2, "recon_matrix_xy": (64, 80)}, 0.05),
    "reversed": ({"reversed_lines": True, "discard": (3, 5)}, 0.05),
    "other readouts": ({"extra_lines": EXTRA, "slices": 2}, 0.05),
    "dead coil": ({"coils": 6, "dead_coils": (2,)}, 0.05),
    "one coil": ({"coils": 1, "acceleration": 1.0}, 0.05),
    "many coils": ({"coils": 24}, 0.05),
    "folded": ({"coils": 8, "fov": 0.8, "orientation": "axial"}, 0.06),
    "volume": ({**VOLUME, "acceleration": 4.0}, 0.15),
    "volume, poisson": ({**VOLUME, "pattern": "poisson"}, 0.15),
    "volume, separate": ({**VOLUME, "calibration": "separate", "pattern": "regular"}, 0.15),
    "volume, external": ({**VOLUME, "calibration": "external", "pattern": "regular"}, 0.15),
    "volume, odd": ({**VOLUME, "matrix_xy": (31, 39), "matrix_z": 11, "phases": 2}, 0.15),
}


def compared(raw: RawScan, model: Any, folder: Path) -> tuple[Comparison, Report, list[Any]]:
    """Run the chain and compare all its images with the truth of their counters."""
    found: list[Any] = []
    pipeline = load_pipeline().with_overrides({"images.type": "float32"})
    report = run(raw.acquisitions(), found.append, header_of(raw), pipeline, model)
    images = [item for item in found if isinstance(item, ismrmrd.Image)]
    write_truth(raw.truth, folder / "truth.h5")
    truth = TruthFile(folder / "truth.h5")
    result = compare_series("all", lambda: pictures(images, truth.partitions), truth)
    truth.close()
    return result, report, images


@pytest.mark.parametrize("case", CASES)
def test_case_meets_its_truth(case: str, conventional_model: Any, tmp_path: Path) -> None:
    changes, allowed = CASES[case]
    raw = scan(**{"snr": 200.0, **changes})
    result, report, _ = compared(raw, conventional_model, tmp_path)
    assert len(result.images) == len(raw.truth.image_syx)
    assert report.fallbacks == 0
    assert result.whole.nrmse < allowed


def test_a_volume_without_calibration_lines_is_refused_and_never_wrong_in_silence(
    conventional_model: Any, tmp_path: Path
) -> None:
    raw = scan(**{**VOLUME, "calibration": "none", "pattern": "regular", "acceleration": 4.0, "snr": 200.0})
    header = header_of(raw)
    with pytest.raises(DataError, match="calibration lines about the k-space centre"):
        survey(raw.heads, build_plan(header, load_pipeline()), header)
    _, report, images = compared(raw, conventional_model, tmp_path)
    assert report.fallbacks == 1
    assert all("too few calibration lines" in image.meta["ImageComments"] for image in images)
