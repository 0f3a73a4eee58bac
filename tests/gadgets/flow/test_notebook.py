"""The observer of a stream: what it sees is right, what leaves is not changed by it, what it keeps is bounded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from noisy_scan import same, scan_of
from simulated import header_of, readouts_of
from simulated import scan as simulated_scan
from small_scan import header

from smug_recon.gadgets.flow.items import SliceKey
from smug_recon.gadgets.flow.notebook import Notebook, smaller
from smug_recon.gadgets.flow.observer import NOBODY, VARIABLE, observer_of_environment
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline


def replayed(observer: Any, model: Any, slices: int = 3, **overrides: Any) -> tuple[list[Any], Report]:
    found: list[Any] = []
    report = Report(observer)
    items = observer.arriving(scan_of(slices).readouts)
    pipeline = load_pipeline().with_overrides(overrides)
    run(items, found.append, header(slices=slices), pipeline, model, report)
    return found, report


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(arrays.pop("about").tobytes()), arrays


def test_the_images_that_leave_do_not_depend_on_who_watches(conventional_model: Any, tmp_path: Path) -> None:
    unwatched, quiet = replayed(NOBODY, conventional_model)
    watched, report = replayed(Notebook(tmp_path / "n.npz"), conventional_model)
    assert len(unwatched) == 3 and same(unwatched, watched)
    assert report.slices == quiet.slices and report.fallbacks == quiet.fallbacks == 0
    assert "for the report" in report.seconds and "for the report" not in quiet.seconds


def test_a_notebook_tells_of_noise_channels_maps_masks_and_images(
    conventional_model: Any, tmp_path: Path
) -> None:
    sent, _ = replayed(Notebook(tmp_path / "n.npz"), conventional_model, **{"images.type": "float32"})
    about, arrays = read(tmp_path / "n.npz")
    covariance_cc = arrays["covariance_cc"]
    assert covariance_cc.shape == (4, 4) and about["noise"]["samples"] > 1000
    assert (
        np.argsort(np.diag(covariance_cc).real)[-1] == 1
    )  # the root of the covariance is diag(1, 2, 1.5, .5) ...
    assert sorted(about["signal"]) == ["0", "1", "2", "3"] and all(about["signal"].values())
    assert [page["slice"] for page in about["pages"]] == [0, 1, 2]
    for number, image in enumerate(sent):
        maps_cyx, shown_yx = arrays[f"page{number}_maps"], arrays[f"page{number}_SMUG"]
        assert maps_cyx.shape == (4, 48, 48) and np.allclose((np.abs(maps_cyx) ** 2).sum(0), 1, atol=1e-3)
        assert arrays[f"page{number}_eigenvalue"].max() <= 1
        assert (arrays[f"page{number}_mask"] > 0).sum() == about["pages"][number]["lines"]
        assert np.allclose(shown_yx, image.data[0, 0], rtol=1e-5)
        assert arrays[f"page{number}_CG-SENSE"].shape == shown_yx.shape
        assert not arrays[f"page{number}_SMUG uncertainty"].any()  # of this stand-in
    line = about["timeline"]
    assert sum(line["events"]["readouts"]) == len(scan_of().readouts) and sum(line["events"]["images"]) == 3
    assert line["seconds"].keys() >= {"network", "coil maps", "gather"}


def test_a_long_scan_gets_no_larger_notebook(conventional_model: Any, tmp_path: Path) -> None:
    notebook = Notebook(tmp_path / "n.npz", pages=3)
    sent, _ = replayed(notebook, conventional_model, slices=11)
    assert len(sent) == 11
    about, arrays = read(tmp_path / "n.npz")
    assert [page["slice"] for page in about["pages"]] == [0, 4, 8] and about["reconstructed"] == 11
    assert sum(name.endswith("_SMUG") for name in arrays) == 3


def test_a_fallback_is_on_its_page(conventional_model: Any, tmp_path: Path) -> None:
    conventional_model.broken = True
    _, report = replayed(Notebook(tmp_path / "n.npz"), conventional_model, slices=1)
    about, arrays = read(tmp_path / "n.npz")
    assert about["pages"][0]["methods"]["SMUG"] == "CG-SENSE" and report.fallbacks == 1
    assert np.array_equal(arrays["page0_SMUG"], arrays["page0_CG-SENSE"])


@pytest.mark.parametrize("method", ["_open", "noise", "channels"])
def test_a_notebook_that_fails_does_not_cost_the_scan(
    method: str, conventional_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smug_recon.gadgets.flow import notebook as module

    def fail(*_: Any) -> None:
        raise RuntimeError("no")

    failing = fail if method == "_open" else module.harmless(fail)
    monkeypatch.setattr(Notebook, method, failing)
    sent, _ = replayed(Notebook(tmp_path / "n.npz"), conventional_model)
    assert same(sent, replayed(NOBODY, conventional_model)[0])
    assert not (tmp_path / "n.npz").exists()


def test_a_folder_that_is_not_there_does_not_cost_the_scan(conventional_model: Any, tmp_path: Path) -> None:
    sent, _ = replayed(Notebook(tmp_path / "absent" / "n.npz"), conventional_model)
    assert len(sent) == 3


def test_without_a_file_nobody_watches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert observer_of_environment() is NOBODY and Report().observer is NOBODY
    monkeypatch.setenv(VARIABLE, "")
    assert observer_of_environment() is NOBODY
    monkeypatch.setenv(VARIABLE, str(tmp_path / "n.npz"))
    assert isinstance(observer_of_environment(), Notebook)
    assert not NOBODY.wants(SliceKey(0, 0, 0, 0, 0))


def test_smaller_keeps_the_mean() -> None:
    image = torch.complex(torch.rand(3, 40, 20), torch.rand(3, 40, 20))
    assert torch.equal(smaller(image, 40), image)
    reduced = smaller(image, 10)
    assert reduced.shape == (3, 10, 5) and torch.allclose(reduced.mean((1, 2)), image.mean((1, 2)), atol=1e-5)


def test_a_slab_has_pages_for_some_of_its_partitions(conventional_model: Any, tmp_path: Path) -> None:
    raw = simulated_scan(
        matrix_xy=(32, 48), matrix_z=8, oversampling=1, acceleration=2.0, pattern="poisson", acs=10
    )
    found: list[Any] = []
    pipeline = load_pipeline().with_overrides({"images.type": "float32"})
    report = Report(Notebook(tmp_path / "n.npz", pages=4))
    run(readouts_of(raw), found.append, header_of(raw), pipeline, conventional_model, report)
    about, arrays = read(tmp_path / "n.npz")
    assert len(found) == 8 and [page["partition"] for page in about["pages"]] == [0, 2, 4, 6]
    for number, page in enumerate(about["pages"]):
        mask = arrays[f"page{number}_mask"]
        assert mask.shape == (8, 48)
        assert 0 < (mask > 0).sum() < mask.size and (mask == 2).any()
        assert np.allclose(arrays[f"page{number}_SMUG"], found[page["partition"]].data[0, 0], rtol=1e-5)
