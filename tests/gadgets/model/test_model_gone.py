"""A model file that is missing, swapped or gone: before the scan an error, during the scan nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from failing import SLICES, marked, outputs, written

from smug_recon.errors import ModelError
from smug_recon.gadgets.model.file import load_model
from smug_recon.gadgets.solve.fallback import CG_SENSE
from smug_recon.pipeline import load_pipeline
from smug_recon.scanner.models import Models


def test_a_model_file_that_is_gone_or_swapped_after_the_start_changes_nothing(tmp_path: Path) -> None:
    path, digest = written(tmp_path, "nan")
    model, again = load_model(path, digest, "cpu"), load_model(path, digest, "cpu")
    expected, _ = outputs(model)
    path.write_bytes(b"another file")
    found, report = outputs(again)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(found, expected, strict=True))
    assert report.fallbacks == 1  # its second slice, as before


@pytest.mark.parametrize("wrong", ["hash", "file"])
def test_a_wrong_model_at_the_start_is_refused_unless_the_pipeline_wants_an_image(
    tmp_path: Path, wrong: str
) -> None:
    path, digest = written(tmp_path, "nan")
    if wrong == "hash":
        path.write_bytes(b"another file")
    else:
        path.unlink()
    settings = {"model.file": str(path), "model.sha256": digest, "device": "cpu"}
    with pytest.raises(ModelError):
        outputs(None, **settings)
    found, report = outputs(None, **settings, without_model="conventional")
    assert all(marked(image, CG_SENSE, "no model") for image in found)
    assert report.fallbacks == SLICES == len(found)
    assert str(tmp_path) not in found[0].meta["ImageComments"]


def test_a_stand_in_for_a_model_is_not_kept_by_the_server(tmp_path: Path) -> None:
    path, digest = written(tmp_path, "nan")
    content = path.read_bytes()
    path.unlink()
    settings = {"model.file": str(path), "model.sha256": digest, "device": "cpu"}
    pipeline = load_pipeline().with_overrides({**settings, "without_model": "conventional"})
    models = Models()
    assert models.get(pipeline).sha256 == "none" and models.count == 0
    with pytest.raises(ModelError):
        models.get(load_pipeline().with_overrides(settings))
    path.write_bytes(content)
    assert models.get(pipeline).sha256 == digest and models.count == 1
