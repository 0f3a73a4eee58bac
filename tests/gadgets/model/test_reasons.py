"""What is said of an error fits on an image."""

from __future__ import annotations

from failing import CUDA, IN_SCRIPT

from smug_recon.gadgets.model.reasons import short


def test_reasons_are_one_short_line() -> None:
    assert short(RuntimeError(CUDA)) == f"RuntimeError: {CUDA.splitlines()[0]}"
    assert short(RuntimeError(IN_SCRIPT)) == "out of memory on the GPU"
    assert short(ValueError()) == "ValueError: no message"
    assert len(short(ValueError("x" * 999))) == 160
