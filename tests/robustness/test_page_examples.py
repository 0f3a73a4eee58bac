"""Example images of a page come from the folder of their study, stay where it is not given, and say what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from smug_recon.errors import DataError
from smug_recon.robustness.page.document import renew
from smug_recon.robustness.running.evaluate import evaluate
from smug_recon.robustness.settings.axes import AttackAxis, Axes
from smug_recon.robustness.settings.evaluation import EvaluationConfig


def test_examples_are_drawn_from_the_folder_of_their_study(
    evaluation: EvaluationConfig, tmp_path: Path
) -> None:
    axes = Axes(attacks=(AttackAxis(domain="start", strengths=(0.02,), steps=(1,)),))
    data = evaluation.data.model_copy(update={"limit": 1})
    folder = tmp_path / "tiny"
    evaluate(evaluation.model_copy(update={"axes": axes, "data": data}), folder)
    said = """<!-- example
file: example.webp
title: A slice
study: tiny
methods: [cg-sense, smug]
perturbations: {clean: clean 0, attacked: start-pgd-linf 0.02}
-->
![A slice](figures/example.webp)
<!-- end -->
"""
    page = tmp_path / "page.md"
    page.write_text(said)
    (reason,) = renew(page, []).left
    assert "folder of tiny is not given" in reason and not (tmp_path / "figures").exists()
    (path,) = renew(page, [], {"tiny": folder}).drawn
    content = path.read_bytes()
    assert content[8:12] == b"WEBP" and page.read_text() == said
    renew(page, [], {"tiny": folder})
    assert path.read_bytes() == content
    renew(page, [])
    assert path.read_bytes() == content  # stays where the folder is not given
    for old, new, found in (
        ("smug]", "smog]", "0 kept images of smog"),
        ("clean 0", "clean", "the words 'clean'"),
        ("clean 0", "clean 0\n  slice: x", "cannot be read"),
        ("study: tiny", "study: tiny\nslice: one/T2w_axial/3", "slice"),
    ):
        page.write_text(said.replace(old, new))
        with pytest.raises(DataError, match=found):
            renew(page, [], {"tiny": folder})
