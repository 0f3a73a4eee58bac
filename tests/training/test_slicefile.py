"""Slice files that others wrote: read where the layout can be recognised, refused by name where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from smug_recon.errors import ConfigurationError
from smug_recon.training.slicefile import orientation_of
from smug_recon.training.slices import read_volumes

BRIGHT = np.full((3, 20, 18), 3000, np.uint16)
GAP = BRIGHT * np.array([1, 0, 1], np.uint16)[:, None, None]


def written(path: Path, volumes: dict[str, tuple[NDArray[Any], dict[str, Any]]]) -> Path:
    with h5py.File(path, "w") as file:
        for name, (slices, attributes) in volumes.items():
            group = file.create_group(name)
            group["slices"] = slices
            group.attrs.update(attributes)
    return path


def test_attributes_may_be_bytes_and_splits_stay_apart(tmp_path: Path) -> None:
    def said(split: str) -> dict[str, Any]:
        return {"subject": np.bytes_("x"), "split": np.bytes_(split), "contrast": np.array([b"T1w"])}

    path = written(
        tmp_path / "a.h5", {"1/a_axial": (BRIGHT, said("test")), "2/b_axial": (BRIGHT, said("train"))}
    )
    (volume,) = read_volumes(path, "test")
    assert (volume.subject, volume.name, volume.contrast) == ("x", "a_axial", "T1w")
    with pytest.raises(ConfigurationError, match="test, train"):
        read_volumes(path, "val")


def test_without_attributes_the_groups_names_say_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", {"one/T2w_sagittal": (BRIGHT, {}), "two/T1w_coronal": (BRIGHT, {})})
    read = [(one.subject, one.orientation, one.contrast, one.licence) for one in read_volumes(path)]
    assert read == [("one", "sagittal", "unknown", ""), ("two", "coronal", "unknown", "")]
    assert orientation_of("scan_axial", "Coronal ") == "coronal" and orientation_of("scan", "TRA") == "axial"


@pytest.mark.parametrize("stored", [False, True])
def test_slices_that_show_nothing_are_left_out(
    stored: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dark = np.zeros_like(BRIGHT)
    path = written(tmp_path / "a.h5", {"one/a_axial": (GAP, {}), "two/b_axial": (dark, {})})
    (volume,) = read_volumes(path, stored=stored)
    assert len(volume.slices_nyx) == volume.slices_nyx.shape[0] == 2
    assert [volume.number(place) for place in range(2)] == [0, 2]
    assert all((volume.slices_nyx[place] == 3000).all() for place in range(2))
    assert "4 slices of a.h5 show nothing" in caplog.text


@pytest.mark.parametrize(
    ("slices", "found"),
    [
        (BRIGHT[0], r"shape \(20, 18\)"),
        (BRIGHT.astype(np.complex64), "complex64"),
        (BRIGHT * np.uint16(2), "0 to 4095|from 6000"),
        (BRIGHT / np.float32(4095), "no pixel above 0.73"),
        ((BRIGHT // 16).astype(np.uint8), "no pixel above 187"),
        (-BRIGHT.astype(np.int16), "from -3000"),
        (np.where(GAP > 0, GAP, np.nan), "nan"),
        (np.zeros_like(BRIGHT), "shows anything"),
    ],
)
def test_wrong_pixels_are_refused_by_name(slices: NDArray[Any], found: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", {"one/a_axial": (slices, {})})
    for stored in (False, True):
        with pytest.raises(ConfigurationError, match=found):
            read_volumes(path, stored=stored)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("slices")
    with h5py.File(tmp_path / "flat.h5", "w") as file:
        file["slices"] = BRIGHT
        file["one/slices"] = BRIGHT
    for name, found in (("text.h5", "no HDF5 file"), ("flat.h5", "no volume"), ("none.h5", "no file")):
        with pytest.raises(ConfigurationError, match=found):
            read_volumes(tmp_path / name)


def test_namesakes_are_refused(tmp_path: Path) -> None:
    same = {"subject": "one"}
    path = written(tmp_path / "a.h5", {"1/a_axial": (BRIGHT, same), "2/a_axial": (BRIGHT, same)})
    with pytest.raises(ConfigurationError, match="two volumes one/a_axial"):
        read_volumes(path)
