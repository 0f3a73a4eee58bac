"""Images as the chain itself makes them, as DICOM: the uncertainty a series of its own, bandwidth, settings with their hash."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from dicom_scans import dciodvfy

sys.path.append(str(Path(__file__).parents[1] / "gadgets"))
from conventional import ConventionalModel
from small_scan import DWELL_US, SAMPLES_X, header, whole_scan

from smug_recon.dicom import write_dicom, write_nifti
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline
from smug_recon.replay.results.explain import explain


class Spreading(ConventionalModel):
    """The stand-in for the network, with a tenth of the image for its uncertainty."""

    def forward(self, kspace, maps, mask, seed, samples):
        image_byx, _ = super().forward(kspace, maps, mask, seed, samples)
        return image_byx, 0.1 * image_byx.abs()


@pytest.fixture(scope="module")
def pipeline():
    return load_pipeline().with_overrides({"images.uncertainty": True, "images.conventional": True})


@pytest.fixture(scope="module")
def images(pipeline):
    found = []
    run(whole_scan(2).readouts, found.append, header(slices=2), pipeline, Spreading(iterations=8))
    return found


@pytest.mark.parametrize("multiframe", [False, True], ids=["classic", "enhanced"])
def test_the_uncertainty_is_a_series_of_its_own_without_an_error(multiframe, images, tmp_path):
    files = write_dicom(images, header(slices=2), tmp_path, multiframe=multiframe)
    found = {int(ds.SeriesNumber): ds for ds in map(pydicom.dcmread, files)}
    assert sorted(found) == [101, 102, 108] and len(files) == (3 if multiframe else 6)
    assert len({ds.SeriesInstanceUID for ds in found.values()}) == 3
    spread = found[108]
    assert "STD_DEVIATION" in spread.ImageType and spread.SeriesDescription == "head SMUG uncertainty"
    assert "standard deviation over the smoothing copies" in spread.DerivationDescription
    ratio = spread.pixel_array.astype(float).sum() / found[101].pixel_array.sum()
    assert ratio == pytest.approx(0.1, rel=0.02)  # in the units of the image
    for path in files:
        said = dciodvfy(path)
        assert not [line for line in said if line.startswith("Error")], said


@pytest.mark.parametrize("multiframe", [False, True], ids=["classic", "enhanced"])
def test_bandwidth_and_settings_are_in_the_file(multiframe, images, pipeline, tmp_path):
    for path in write_dicom(images, header(slices=2), tmp_path, multiframe=multiframe):
        ds = pydicom.dcmread(path)
        assert float(ds.PixelBandwidth) == pytest.approx(1e6 / (DWELL_US * SAMPLES_X), rel=1e-5)
        assert pipeline.sha256 in ds.ContributingEquipmentSequence[-1].ContributionDescription
        told = explain(path)
        assert f"pipeline {pipeline.name} sha256 {pipeline.sha256}" in told and "smug-recon 0." in told
        assert f"torch {torch.__version__}" in told


def test_images_that_do_not_tell_have_no_bandwidth(images, tmp_path):
    image = images[0]
    text = image.attribute_string
    try:
        for odd in ("", "none", "0", "-3", "inf", "nan"):
            image.meta["SmugPixelBandwidthHz"] = odd
            (path,) = write_dicom([image], header(slices=2), tmp_path / f"x{odd}")
            assert "PixelBandwidth" not in pydicom.dcmread(path), odd
    finally:
        image.attribute_string = text


def test_bids_calls_it_pixel_bandwidth(images, tmp_path):
    write_nifti(images, header(slices=2), tmp_path)
    found = json.loads((tmp_path / "00101.json").read_text())
    assert found["PixelBandwidth"] == pytest.approx(1e6 / (DWELL_US * SAMPLES_X), rel=1e-5)
    assert np.isfinite(found["PixelBandwidth"])
