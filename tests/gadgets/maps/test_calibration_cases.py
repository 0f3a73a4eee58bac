"""Few calibration lines, regular and variable density, a folded head: whole scans against the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from simulated import header_of, readouts_of, reconstructed, scan

from smug_recon.gadgets.maps.block_maps import FOLDED, ONE_SET
from smug_recon.gadgets.model.file import load_model
from smug_recon.pipeline import load_pipeline


@pytest.fixture(scope="module")
def network() -> Any:
    pipeline = load_pipeline()
    return load_model(pipeline.model_path, pipeline.model.sha256, "cpu")


def test_few_calibration_lines_against_the_truth(conventional_model: Any) -> None:
    """Four lines are enough for maps from ESPIRiT; with fewer the image says that it is a fallback."""
    errors = {}
    for acs in (16, 4, 2):
        raw = scan(matrix_xy=(48, 96), coils=6, acceleration=4.0, acs=acs)
        rows = np.flatnonzero(raw.truth.mask_y)
        centre = raw.truth.mask_y.size // 2
        contiguous = next(n for n in range(1, 99) if not {centre - n, centre + n} <= set(rows.tolist()))
        result = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
        errors[acs] = result.nrmse(raw.truth.whitened_syx)
        assert ("few for coil maps" in result.comments) == (acs == 4), contiguous
        assert ("low-resolution images" in result.comments) == (acs == 2), contiguous
        assert result.report.fallbacks == (1 if acs == 2 else 0)
    assert errors[16] < errors[4] < 2 * errors[16]
    assert errors[2] < 0.5


@pytest.mark.parametrize("pattern, acceleration", [("regular", 2), ("regular", 4), ("random", 3)])
def test_the_network_is_better_than_cg_sense_on_regular_and_on_random_sampling(
    network: Any, pattern: str, acceleration: int
) -> None:
    raw = scan(
        matrix_xy=(96, 96), coils=8, acceleration=float(acceleration), pattern=pattern, orientation="axial"
    )
    result = reconstructed(readouts_of(raw), header_of(raw), network, **{"images.conventional": True})
    smug, conventional = (
        error_of(image, raw)
        for image in sorted(result.images, key=lambda image: int(image.image_series_index))
    )
    assert smug < 0.95 * conventional


def error_of(image: Any, raw: Any) -> float:
    from smug_recon.simulation.truth.scores import score

    return score(image.data[0], raw.truth.whitened_syx).nrmse


@pytest.fixture(scope="module")
def folded() -> Any:
    return scan(matrix_xy=(64, 64), coils=8, acceleration=3.0, fov=0.75, orientation="axial")


@pytest.mark.parametrize("which", ["network", "conventional"])
def test_a_folded_head_wants_two_sets_of_maps(folded: Any, which: str, request: Any) -> None:
    """One set leaves artefacts, and it is said; two sets are measurably closer to the folded truth."""
    model = request.getfixturevalue("network" if which == "network" else "conventional_model")
    errors = {}
    for folding in ("ignore", "warn", "two-sets"):
        result = reconstructed(
            readouts_of(folded), header_of(folded), model, **{"coil_maps.folding": folding}
        )
        errors[folding] = result.nrmse(folded.truth.whitened_syx)
        assert (FOLDED in result.comments) == (folding == "two-sets")
        assert (f"WARNING: {ONE_SET}" in result.comments) == (folding == "warn")
        assert (FOLDED in result.report.warnings) == (folding == "two-sets")
        assert (ONE_SET in result.report.warnings) == (folding == "warn")
    assert errors["warn"] == errors["ignore"]
    assert errors["two-sets"] < 0.75 * errors["warn"]


def test_cg_sense_beside_the_network_takes_two_sets_as_well(folded: Any, conventional_model: Any) -> None:
    result = reconstructed(
        readouts_of(folded), header_of(folded), conventional_model, **{"images.conventional": True}
    )
    smug, conventional = result.images
    assert error_of(conventional, folded) < 1.2 * error_of(smug, folded)


@pytest.mark.parametrize("noise_scan", [True, False])
@pytest.mark.parametrize("coils", [4, 12])
def test_a_head_inside_the_field_of_view_has_one_set(
    conventional_model: Any, noise_scan: bool, coils: int
) -> None:
    raw = scan(coils=coils, noise_scan=noise_scan, snr=15.0)
    result = reconstructed(readouts_of(raw), header_of(raw), conventional_model)
    assert "folds" not in result.comments
