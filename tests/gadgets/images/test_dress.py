"""Header and Meta: geometry and counters of the scan, a number for every image, both families of keys."""

from __future__ import annotations

from typing import Any

import ismrmrd
import numpy as np
import pytest
import torch
from small_scan import header

from smug_recon.gadgets.flow.items import Reconstruction, SliceKey
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.images.dress import dress, image_index
from smug_recon.pipeline import load_pipeline


def reconstruction(dtype: Any = np.uint16, role: str = "SMUG", slice_index: int = 2) -> Reconstruction:
    head = ismrmrd.AcquisitionHeader()
    head.measurement_uid, head.acquisition_time_stamp = 77, 123456
    head.physiology_time_stamp = (7, 8, 9)
    head.position, head.patient_table_position = (1.5, -2.5, 30.0), (0.0, 0.0, -1200.0)
    head.read_dir, head.phase_dir, head.slice_dir = (0.0, 0.8, 0.6), (1.0, 0.0, 0.0), (0.0, 0.6, -0.8)
    key = SliceKey(slice_index, 0, 0, 1, 0)
    found = Reconstruction(key, head, role, torch.zeros(6, 8), 4, 30, 24, True, notes=["a note"])
    found.pixels_yx = np.arange(48).reshape(6, 8).astype(dtype)
    found.scale = 2.5
    return found


def images(model: Any, *found: Reconstruction, **overrides: Any) -> list[ismrmrd.Image]:
    plan = build_plan(header(slices=3, repetitions=2), load_pipeline().with_overrides(overrides))
    return list(dress(found, plan, model, "T1w head"))


def test_geometry_counters_and_stamps_are_those_of_the_scan(conventional_model: Any) -> None:
    (image,) = images(conventional_model, reconstruction())
    head, line = image.getHead(), reconstruction().head
    assert np.array_equal(image.data, reconstruction().pixels_yx[None, None])
    assert (tuple(head.matrix_size), head.channels, head.data_type) == ((8, 6, 1), 1, ismrmrd.DATATYPE_USHORT)
    assert tuple(head.field_of_view) == (192.0, 192.0, 5.0)
    for name in (
        "position",
        "read_dir",
        "phase_dir",
        "slice_dir",
        "patient_table_position",
        "physiology_time_stamp",
    ):
        assert tuple(getattr(head, name)) == tuple(getattr(line, name)), name
    assert (head.measurement_uid, head.acquisition_time_stamp) == (77, 123456)
    assert (head.slice, head.repetition, head.contrast, head.phase, head.set, head.average) == (
        2,
        1,
        0,
        0,
        0,
        0,
    )
    assert head.image_type == ismrmrd.IMTYPE_MAGNITUDE


def test_rows_and_columns_are_named_in_the_meta(conventional_model: Any) -> None:
    (image,) = images(conventional_model, reconstruction())
    assert np.allclose([float(part) for part in image.meta["ImageRowDir"]], (0.0, 0.8, 0.6))
    assert np.allclose([float(part) for part in image.meta["ImageColumnDir"]], (1.0, 0.0, 0.0))
    assert image.meta["Keep_image_geometry"] == "1"


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.complex64])
def test_an_image_survives_the_wire(conventional_model: Any, dtype: Any) -> None:
    (image,) = images(conventional_model, reconstruction(dtype))
    back = ismrmrd.Image.from_bytes(image.to_bytes())
    assert back.data.dtype == dtype
    assert np.array_equal(back.data, image.data)
    assert back.meta["SeriesDescription"] == "T1w head SMUG"
    complex_pixels = dtype == np.complex64
    assert back.image_type == (ismrmrd.IMTYPE_COMPLEX if complex_pixels else ismrmrd.IMTYPE_MAGNITUDE)


def test_both_families_of_keys_say_the_same(conventional_model: Any) -> None:
    (image,) = images(conventional_model, reconstruction())
    names = (
        "DataRole",
        "ImageComment",
        "SeriesDescription",
        "ImageProcessingHistory",
        "WindowCenter",
        "WindowWidth",
    )
    for name in names:
        assert image.meta[name] == image.meta[f"GADGETRON_{name}"]
    assert image.meta["ImageComments"] == image.meta["ImageComment"]
    assert "a note" in image.meta["ImageComments"]
    assert image.meta["DataRole"] == ["Image"]
    assert float(image.meta["GADGETRON_ScaleFactor"]) == 2.5
    assert image.meta["SmugModel"] == conventional_model.card.name
    assert image.meta["SmugAcceleration"] == "2.00"


def test_a_fallback_says_so_in_its_series_and_comments(conventional_model: Any) -> None:
    found = reconstruction()
    found.fallback = True
    found.notes.append("FALLBACK to CG-SENSE: a reason")
    (image,) = images(conventional_model, found)
    assert "FALLBACK" in image.meta["SeriesDescription"]
    assert "FALLBACK" in image.meta["ImageComments"]
    assert "FALLBACK" in image.meta["ImageProcessingHistory"]


def test_roles_have_series_of_their_own_and_every_image_its_number(conventional_model: Any) -> None:
    found = [reconstruction(role=role, slice_index=n) for n in range(3) for role in ("SMUG", "CG-SENSE")]
    dressed = images(conventional_model, *found)
    numbers = {(image.image_series_index, image.image_index) for image in dressed}
    assert len(numbers) == 6
    assert {image.image_series_index for image in dressed} == {1, 2}
    assert {image.image_index for image in dressed} == {4, 5, 6}
    assert "SmugModel" not in dressed[1].meta
    assert dressed[1].meta["SeriesDescription"] == "T1w head CG-SENSE"


def test_numbers_start_at_one_and_never_repeat_even_beyond_the_limits() -> None:
    plan, used = build_plan(header(slices=2), load_pipeline()), set[int]()
    keys = [SliceKey(n, 0, 0, r, 0) for r in range(2) for n in range(4)]
    found = [image_index(key, plan, used) for key in keys]
    assert found[0] == 1
    assert len(set(found)) == 8
