"""The range that the model was trained on: what was acquired is held against it, image by image."""

from __future__ import annotations

from typing import Any

import pytest
from simulated import header_of, parts_of, readouts_of, reconstructed, scan

INSIDE = {
    "matrix_yx": ((60, 70), (40, 50)),
    "coils": (4, 8),
    "acceleration": (1.5, 2.5),
    "calibration_lines": (12, 32),
}


def model_of(model: Any, **trained: Any) -> Any:
    """The same model with another trained range on its card."""
    trained_range = model.card.trained_range.model_copy(update={**INSIDE, **trained})
    model.card = model.card.model_copy(update={"trained_range": trained_range})
    return model


def test_inside_the_range_nothing_is_said(conventional_model: Any) -> None:
    raw = scan()
    found = reconstructed(readouts_of(raw), header_of(raw), model_of(conventional_model))
    assert "trained" not in found.comments
    assert not [text for text in found.report.warnings if "trained" in text]


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        (
            {"matrix_yx": ((100, 200), (40, 50))},
            "phase-encode matrix 64: outside the trained range 100 to 200",
        ),
        ({"matrix_yx": ((60, 70), (90, 99))}, "readout matrix 48: outside"),
        ({"coils": (8, 16)}, "coils 4: outside the trained range 8 to 16"),
        ({"acceleration": (3.5, 4.5)}, "outside the trained range 3.5 to 4.5"),
        ({"calibration_lines": (24, 32)}, "trained with at least 24"),
    ],
)
def test_outside_it_log_report_and_image_say_so(
    trained: dict[str, Any], said: str, conventional_model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    raw = scan()
    found = reconstructed(readouts_of(raw), header_of(raw), model_of(conventional_model, **trained))
    assert said in found.comments
    assert any(said in text for text in found.report.warnings)
    assert said in caplog.text


def test_what_was_acquired_counts_and_not_what_the_header_announces(conventional_model: Any) -> None:
    raw = scan(acceleration=1.0, calibration="none")
    noise, lines = parts_of(raw)
    few = [
        line
        for line in lines
        if line.idx.kspace_encode_step_1 % 4 == 0 or 24 <= line.idx.kspace_encode_step_1 < 40
    ]
    found = reconstructed([*noise, *few], header_of(raw), model_of(conventional_model, acceleration=(1, 2)))
    assert "acceleration 2.29: outside the trained range 1 to 2" in found.comments
