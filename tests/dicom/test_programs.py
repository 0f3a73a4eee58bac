"""Other programs read what is written: dciodvfy, DCMTK, dcm2niix, nibabel."""

from __future__ import annotations

import warnings

import nibabel
import numpy as np
import pydicom
import pytest
from dicom_scans import (
    CENTRE_MM,
    KINDS,
    PIXEL_MM,
    STEP_MM,
    dciodvfy,
    dcm2niix,
    header,
    lps_mm,
    program,
    run,
    scan,
)
from PIL import Image as Picture

from smug_recon.dicom import write_dicom, write_nifti

EVERY = ("magnitude", "phase", "real", "imaginary")
TURNED = np.array([[0.8, 0.36, -0.48], [-0.6, 0.48, -0.64]])
ORIENTATIONS = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "oblique": tuple(map(tuple, TURNED)),
    "axial, phase left to right": ((0, -1, 0), (-1, 0, 0)),
    "rotated in plane": ((np.cos(0.4), np.sin(0.4), 0), (-np.sin(0.4), np.cos(0.4), 0)),
    "upside down": ((-1, 0, 0), (0, -1, 0)),
    "left-handed": ((-1, 0, 0), (0, 1, 0)),
}

PLACES = [(name, "HFS") for name in ORIENTATIONS]
PLACES += [(name, position) for name in ("axial", "oblique") for position in ("FFS", "HFP", "FFDR")]


@pytest.mark.parametrize("multiframe", [False, True], ids=["classic", "enhanced"])
@pytest.mark.parametrize("name", KINDS)
def test_dciodvfy_finds_no_error_and_dcmtk_shows_the_pixels(name, multiframe, tmp_path):
    files = write_dicom(KINDS[name](), header(), tmp_path, multiframe=multiframe, components=EVERY)
    for path in (files[0], files[-1]):
        said = dciodvfy(path)
        assert ("EnhancedMRImage" if multiframe else "MRImage") in said
        assert not [line for line in said if line.startswith("Error")], said
    kind = "EnhancedMRImageStorage" if multiframe else "MRImageStorage"
    assert f"={kind}" in run(program("dcmdump", "dcmtk"), "+P", "SOPClassUID", files[-1])
    ds = pydicom.dcmread(files[0])
    shown = tmp_path / "shown.png"
    run(program("dcm2pnm", "dcmtk"), "--write-16-bit-png", "+Wm", files[0], shown)
    stored = np.atleast_3d(ds.pixel_array.T).T[0].astype(float)
    grey = np.array(Picture.open(shown)).astype(float)
    assert np.corrcoef(stored.ravel(), grey.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("anonymise", [False, True])
@pytest.mark.parametrize("multiframe", [False, True], ids=["classic", "enhanced"])
def test_warnings_of_dciodvfy_are_the_ones_in_the_docs(multiframe, anonymise, tmp_path):
    (*_, path) = write_dicom(scan(), header(), tmp_path, multiframe=multiframe, anonymise=anonymise)
    known = {False: ("Unrecognized defined term = <M>",), True: ("not present in standard DICOM IOD",)}[
        multiframe
    ]
    if anonymise:
        known += ("DICOMDIR",)
    left = [
        line for line in dciodvfy(path) if "MRImage" not in line and not any(word in line for word in known)
    ]
    assert left == []


@pytest.mark.parametrize(("name", "position"), PLACES)
@pytest.mark.parametrize("multiframe", [False, True], ids=["classic", "enhanced"])
def test_markers_are_where_they_were_put(name, multiframe, position, tmp_path):
    read, phase = (np.array(axis, float) for axis in ORIENTATIONS[name])
    images = scan(read, phase, slices=4)
    for image in images:
        image.data[:] = 1
    markers = {2000: (1, 3, 9), 3000: (3, 12, 2)}  # slice, row, column
    for value, (k, row, column) in markers.items():
        images[k].data[0, 0, row, column] = value
    files = write_dicom(images, header(position), tmp_path / "dicom", multiframe=multiframe)
    assert pydicom.dcmread(files[0]).PatientPosition == position
    (by_dcm2niix,) = dcm2niix(tmp_path / "dicom", tmp_path / "theirs").values()
    (own,) = write_nifti(images, header(position), tmp_path / "own")
    for image in (by_dcm2niix, nibabel.load(own)):
        values = np.asarray(image.dataobj)
        assert values.shape == (12, 16, 4)
        for value, (k, row, column) in markers.items():
            (index,) = np.argwhere(values == value)
            expected_mm = (
                CENTRE_MM
                + k * STEP_MM * np.cross(read, phase)
                + (column - 6) * PIXEL_MM[1] * read
                + (row - 8) * PIXEL_MM[0] * phase
            )
            np.testing.assert_allclose(lps_mm(image.affine, index), expected_mm, atol=1e-3)


def test_left_is_left(tmp_path):
    """A spot 6 mm to the patient's left of the isocentre, in an axial slice, is left for every reader."""
    (image,) = scan(slices=1)
    image.position = (0.0, 0.0, 0.0)
    image.data[:] = 1
    image.data[0, 0, 8, 6 + 4] = 4000
    (path,) = write_dicom([image], header(), tmp_path / "dicom")
    ds = pydicom.dcmread(path)
    column = int(np.argwhere(ds.pixel_array == 4000)[0, 1])
    x_mm = float(ds.ImagePositionPatient[0]) + column * float(ds.PixelSpacing[1]) * float(
        ds.ImageOrientationPatient[0]
    )
    assert (
        x_mm == pytest.approx(6.0) and column > ds.Columns // 2
    )  # shown at the right edge, as radiologists expect
    (nifti,) = dcm2niix(tmp_path / "dicom", tmp_path / "nifti").values()
    (index,) = np.argwhere(np.asarray(nifti.dataobj).reshape(12, 16, 1) == 4000)
    assert (nifti.affine @ [*index, 1])[0] == pytest.approx(-6.0)  # NIfTI counts x to the right


def test_series_in_time_and_echoes_are_four_dimensional_for_dcm2niix(tmp_path):
    for name, shape in {"cine": (12, 16, 2, 4), "repetitions": (12, 16, 2, 3)}.items():
        write_dicom(KINDS[name](), header(), tmp_path / name)
        (found,) = dcm2niix(tmp_path / name, tmp_path / f"{name} nifti").values()
        assert found.shape == shape
    write_dicom(KINDS["repetitions"](), header(), tmp_path / "objects", multiframe=True)
    (found,) = dcm2niix(tmp_path / "objects", tmp_path / "objects nifti").values()
    assert found.shape == (12, 16, 2, 3)
    write_dicom(KINDS["echoes"](), header(), tmp_path / "echoes")
    found = dcm2niix(tmp_path / "echoes", tmp_path / "echoes nifti")
    assert sorted(found) == ["301_e1", "301_e2"] and {each.shape for each in found.values()} == {(12, 16, 2)}


def test_dcm2niix_tells_the_components_apart(tmp_path):
    images = KINDS["complex"]()
    write_dicom(images, header(), tmp_path / "dicom", components=EVERY)
    found = dcm2niix(tmp_path / "dicom", tmp_path / "nifti")
    assert sorted(found) == ["301", "321_ph", "341_real", "361_imaginary"]
    write_dicom(images, header(), tmp_path / "enhanced", components=EVERY, multiframe=True)
    assert sorted(dcm2niix(tmp_path / "enhanced", tmp_path / "enhanced nifti")) == sorted(found)


@pytest.mark.parametrize("component", EVERY)
def test_the_real_world_values_of_enhanced_mr_are_those_of_the_image(component, tmp_path):
    images = KINDS["complex"]()
    files = write_dicom(images, header(), tmp_path, components=(component,), multiframe=True)
    (path,) = files
    ds = pydicom.dcmread(path)
    (world,) = ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    found = ds.pixel_array * world.RealWorldValueSlope + world.RealWorldValueIntercept
    take = {"magnitude": np.abs, "phase": np.angle, "real": np.real, "imaginary": np.imag}[component]
    truth = np.stack([take(image.data[0, 0]) for image in images])
    assert np.abs(found - truth).max() <= 0.51 * world.RealWorldValueSlope
    assert world.MeasurementUnitsCodeSequence[0].CodeValue == ("rad" if component == "phase" else "1")


def test_nibabel_reads_an_enhanced_cine(tmp_path):
    images = KINDS["cine"]()
    for image in images:
        image.data[:] = 1
    images[5].data[0, 0, 3, 9] = 4000  # phase 2, slice 1
    (path,) = write_dicom(images, header(), tmp_path, multiframe=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel calls its DICOM readers experimental
        from nibabel.nicom.dicomwrappers import wrapper_from_file
    found = wrapper_from_file(path)
    values = np.asarray(found.get_data())
    assert values.shape == (16, 12, 2, 4)
    (index,) = np.argwhere(values == 4000)
    expected_mm = CENTRE_MM + np.array([3 * PIXEL_MM[1], -5 * PIXEL_MM[0], STEP_MM])
    np.testing.assert_allclose((found.affine @ [*index[:3], 1])[:3], expected_mm, atol=1e-3)
    assert index[3] == 2
