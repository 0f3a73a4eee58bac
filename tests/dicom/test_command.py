"""``smug-recon dicom``: from images.h5 to files."""

from __future__ import annotations

import nibabel
import numpy as np
import pydicom
import pytest
from dicom_scans import HEADER, KINDS
from typer.testing import CliRunner

from smug_recon.__main__ import app
from smug_recon.errors import ConfigurationError
from smug_recon.replay.results.images import ImageFile


@pytest.fixture
def images_h5(tmp_path):
    xml = HEADER.replace("POSITION", "FFS").replace("VENDOR", "SIEMENS").encode()
    with ImageFile(tmp_path / "images.h5", xml) as file:
        for image in [*KINDS["cine"](), *KINDS["conventional"]()]:
            file.append(image)
        file.finish()
    return file.path


def dicom(*arguments):
    done = CliRunner().invoke(app, ["dicom", *map(str, arguments)], catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_all_series_of_a_file_are_written(images_h5, tmp_path):
    done = dicom(images_h5, "-o", tmp_path / "out", "--preview")
    assert done.exit_code == 0 and "10 files" in done.stdout
    files = sorted((tmp_path / "out").glob("*.dcm"))
    assert [path.name for path in files][::8] == ["00301_00001.dcm", "00302_00001.dcm"]
    assert {pydicom.dcmread(path).PatientPosition for path in files} == {"FFS"}
    names = {path.name for path in (tmp_path / "out" / "preview").iterdir()}
    assert {
        "images_1_slice_001.gif",
        "images_1_slice_002.gif",
        "images_2_stack.gif",
        "images_1_0008.png",
    } <= names


def test_options_reach_the_files(images_h5, tmp_path):
    out = tmp_path / "out"
    assert (
        dicom(images_h5, "-o", out, "--enhanced", "--series", "images_2", "--patient-id", "P-3").exit_code
        == 0
    )
    (path,) = out.glob("*.dcm")
    ds = pydicom.dcmread(path)
    assert (ds.NumberOfFrames, ds.PatientID, int(ds.SeriesNumber)) == (2, "P-3", 302)
    assert dicom(images_h5, "-o", tmp_path / "nobody", "--anonymise").exit_code == 0
    assert "Phantom" not in str(pydicom.dcmread(next((tmp_path / "nobody").glob("*.dcm"))))
    assert dicom(images_h5, "-o", tmp_path / "nifti", "--nifti").exit_code == 0
    assert nibabel.load(tmp_path / "nifti" / "00301.nii.gz").shape == (12, 16, 2, 4)


def test_wrong_use_is_told(images_h5, tmp_path):
    assert dicom(images_h5, "-o", tmp_path / "out", "--patient-id", "").exit_code == 2
    assert dicom(images_h5, "-o", images_h5).exit_code == 2
    assert dicom(images_h5, "-o", tmp_path / "out", "--nifti", "--enhanced").exit_code == 2
    with pytest.raises(ConfigurationError, match="images_9"):
        dicom(images_h5, "-o", tmp_path / "out", "--series", "images_9")
    text = tmp_path / "text.h5"
    text.write_text("no images")
    with pytest.raises(ConfigurationError, match="HDF5"):
        dicom(text, "-o", tmp_path / "out")
    assert not list(tmp_path.glob("out/*.dcm"))


def test_images_without_a_header_are_written_without_a_patient(tmp_path, caplog):
    import ismrmrd

    with ismrmrd.Dataset(str(tmp_path / "bare.h5"), "dataset", mode="w") as file:
        file.append_image("images_1", KINDS["one slice"]()[0])
    assert dicom(tmp_path / "bare.h5", "-o", tmp_path / "out").exit_code == 0
    ds = pydicom.dcmread(tmp_path / "out" / "00101_00001.dcm")
    assert ds.PatientID == "" and np.ptp(ds.pixel_array) > 0 and "no MRD header" in caplog.text
