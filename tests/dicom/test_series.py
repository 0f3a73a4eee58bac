"""DICOM files say what the MRD header says: geometry in the patient, identity, validity."""

from __future__ import annotations

import shutil
import subprocess

import ismrmrd
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smug_recon.dicom import write_dicom
from smug_recon.dicom.geometry import display_order, plane

HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
 <subjectInformation><patientName>Phantom^Head</patientName><patientWeight_kg>71.5</patientWeight_kg>
  <patientID>P-1</patientID><patientBirthdate>1999-12-31</patientBirthdate><patientGender>O</patientGender>
 </subjectInformation>
 <studyInformation><studyDate>2024-02-29</studyDate><studyTime>13:14:15</studyTime><studyID>7</studyID>
  <studyDescription>test</studyDescription></studyInformation>
 <measurementInformation><measurementID>m1</measurementID><patientPosition>FFS</patientPosition>
  <initialSeriesNumber>3</initialSeriesNumber><protocolName>tse</protocolName></measurementInformation>
 <acquisitionSystemInformation><systemVendor>SIEMENS</systemVendor><systemModel>Any</systemModel>
  <systemFieldStrength_T>2.89362</systemFieldStrength_T></acquisitionSystemInformation>
 <experimentalConditions><H1resonanceFrequency_Hz>123200000</H1resonanceFrequency_Hz></experimentalConditions>
 <encoding>
  <encodedSpace><matrixSize><x>24</x><y>16</y><z>1</z></matrixSize>
   <fieldOfView_mm><x>24</x><y>16</y><z>3</z></fieldOfView_mm></encodedSpace>
  <reconSpace><matrixSize><x>12</x><y>16</y><z>1</z></matrixSize>
   <fieldOfView_mm><x>12</x><y>16</y><z>3</z></fieldOfView_mm></reconSpace>
  <encodingLimits/><trajectory>cartesian</trajectory><echoTrainLength>8</echoTrainLength>
 </encoding>
 <sequenceParameters><TR>4000</TR><TE>98.5</TE><TI>2500</TI><flipAngle_deg>150</flipAngle_deg>
  <sequence_type>TurboSpinEcho</sequence_type></sequenceParameters>
</ismrmrdHeader>"""
ORIENTATIONS = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "phase first": ((0, -1, 0), (-1, 0, 0)),
    "oblique": ((0.8, 0.36, -0.48), (-0.6, 0.48, -0.64)),
}


@pytest.fixture
def header():
    return ismrmrd.xsd.CreateFromDocument(HEADER)


def make(read=(1, 0, 0), phase=(0, 1, 0), position=(5.0, -7.0, 11.0), shape=(1, 16, 12), number=1, seed=0):
    pixels_zyx = np.random.default_rng(seed).integers(0, 900, shape).astype(np.uint16)
    image = ismrmrd.Image.from_array(
        pixels_zyx,
        transpose=False,
        field_of_view=(18.0, 20.0, 3.0 * shape[0]),
        position=position,
        read_dir=tuple(map(float, read)),
        phase_dir=tuple(map(float, phase)),
        slice_dir=tuple(map(float, np.cross(read, phase))),
        image_type=ismrmrd.IMTYPE_MAGNITUDE,
        image_index=number,
        image_series_index=1,
        acquisition_time_stamp=19_000_000,
    )
    image.meta = ismrmrd.Meta(
        {
            "WindowCenter": "450",
            "WindowWidth": "900",
            "SeriesDescription": "SMUG",
            "ImageProcessingHistory": ["ESPIRiT", "SMUG"],
        }
    )
    return image


def patient_mm_by_mrd(image, row, column, partition=0):
    """Straight from the MRD image header: the Fourier transform puts position at sample N // 2; partitions lie
    symmetrically about it."""
    size, fov = np.array(image.getHead().matrix_size, float), np.array(image.field_of_view)
    centre = np.array([size[0] // 2, size[1] // 2, (size[2] - 1) / 2])
    from_centre_mm = (np.array([column, row, partition]) - centre) * fov / size
    axes = np.array([image.read_dir, image.phase_dir, image.slice_dir])
    return np.array(image.position) + from_centre_mm @ axes


def patient_mm_by_dicom(ds, row, column):
    """PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1."""
    along_row, along_column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
    row_mm, column_mm = map(float, ds.PixelSpacing)
    return (
        np.array(ds.ImagePositionPatient, float)
        + along_row * column_mm * column
        + along_column * row_mm * row
    )


@pytest.mark.parametrize("name", ORIENTATIONS)
@pytest.mark.parametrize("partitions", [1, 3])
def test_a_marker_lies_where_the_mrd_header_says(name, partitions, header, tmp_path):
    image = make(*ORIENTATIONS[name], shape=(partitions, 16, 12))
    image.data[:] = 1
    image.data[0, -1, 3, 9] = 4000
    files = write_dicom([image], header, tmp_path)
    assert len(files) == partitions
    ds = pydicom.dcmread(files[-1])
    row, column = np.argwhere(ds.pixel_array == 4000)[0]
    expected_mm = patient_mm_by_mrd(image, 3, 9, partitions - 1)
    np.testing.assert_allclose(patient_mm_by_dicom(ds, row, column), expected_mm, atol=1e-4)
    assert list(map(float, ds.PixelSpacing)) == [20 / 16, 18 / 12]
    assert float(ds.SliceThickness) == 3.0


@settings(max_examples=40, deadline=None)
@given(angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3))
def test_any_rotation_keeps_axes_perpendicular_and_display_upright(angles):
    a, b, c = angles
    turn = np.eye(3)
    for angle, (i, j) in zip((a, b, c), ((0, 1), (1, 2), (0, 1)), strict=True):
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    where = plane(make(turn[0], turn[1]))
    assert abs(where.along_row @ where.along_column) < 1e-9
    np.testing.assert_allclose(where.voxel_mm(8, 6), (5, -7, 11), atol=1e-4)
    transpose, flip_rows, flip_columns = display_order(where.along_row, where.along_column)
    across, down = (
        (where.along_column, where.along_row) if transpose else (where.along_row, where.along_column)
    )
    across, down = across * (-1 if flip_columns else 1), down * (-1 if flip_rows else 1)
    axis = int(np.argmax(np.abs(np.cross(across, down))))
    assert across[1 if axis == 0 else 0] >= 0
    assert (down[1] if axis == 2 else -down[2]) >= 0


def test_turned_images_follow_their_meta(header, tmp_path):
    image = make()
    image.meta["ImageRowDir"] = ["0", "1", "0"]
    image.meta["ImageColumnDir"] = ["0", "0", "-1"]
    ds = pydicom.dcmread(write_dicom([image], header, tmp_path)[0])
    assert list(map(float, ds.ImageOrientationPatient)) == [0, 1, 0, 0, 0, -1]


def test_attributes_come_from_the_header(header, tmp_path):
    images = [make(position=(0, 0, 4.5 * k), number=k + 1, seed=k) for k in range(4)]
    sets = [pydicom.dcmread(path) for path in write_dicom(images, header, tmp_path)]
    first = sets[0]
    assert str(first.PatientName) == "Phantom^Head" and first.PatientID == "P-1" and first.PatientSex == "O"
    assert (
        first.PatientBirthDate == "19991231" and first.StudyDate == "20240229" and first.StudyTime == "131415"
    )
    assert first.PatientPosition == "FFS" and first.Manufacturer == "SIEMENS"
    assert (float(first.RepetitionTime), float(first.EchoTime), float(first.InversionTime)) == (
        4000,
        98.5,
        2500,
    )
    assert list(first.ScanningSequence) == ["SE", "IR"] and first.SequenceVariant == "SK"
    assert first.AcquisitionTime == "131140.000000"  # 19,000,000 ticks of 2.5 ms
    assert first.SeriesNumber == 301 and [ds.InstanceNumber for ds in sets] == [1, 2, 3, 4]
    assert {ds.SeriesInstanceUID for ds in sets} == {first.SeriesInstanceUID}
    assert len({ds.SOPInstanceUID for ds in sets}) == 4
    assert float(first.SpacingBetweenSlices) == 4.5
    assert [float(ds.SliceLocation) for ds in sets] == [0, 4.5, 9, 13.5]
    assert float(first.WindowCenter) == 450 and "RescaleSlope" not in first and first.BitsStored == 16
    assert "ESPIRiT" in first.DerivationDescription
    for ds, image in zip(sets, images, strict=True):
        np.testing.assert_array_equal(ds.pixel_array, image.data[0, 0])


def test_identifiers_follow_the_content(header, tmp_path):
    def uids(images, where):
        found = [pydicom.dcmread(path) for path in write_dicom(images, header, tmp_path / where)]
        return [
            (ds.StudyInstanceUID, ds.FrameOfReferenceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
            for ds in found
        ]

    one, again, other = uids([make()], "a"), uids([make()], "b"), uids([make(seed=5)], "c")
    assert one == again
    assert one[0][:2] == other[0][:2] and one[0][2:] != other[0][2:]
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in one[0])
    assert (tmp_path / "a").joinpath("00301_00001.dcm").read_bytes() == (tmp_path / "b").joinpath(
        "00301_00001.dcm"
    ).read_bytes()
    header.measurementInformation.measurementID = "m2"
    another = uids([make()], "d")[0]  # the same pixels, measured again in the same study
    assert another[:2] == one[0][:2] and not set(another[2:]) & set(one[0])
    header.subjectInformation.patientID = "P-2"
    assert not set(uids([make()], "e")[0]) & set(one[0])


def test_a_bare_header_still_gives_valid_files(tmp_path, caplog):
    conditions = ismrmrd.xsd.experimentalConditionsType(H1resonanceFrequency_Hz=0)
    bare = ismrmrd.xsd.ismrmrdHeader(experimentalConditions=conditions)
    image = make()
    image.meta = ismrmrd.Meta()
    ds = pydicom.dcmread(write_dicom([image, make(number=2)], bare, tmp_path)[0])
    assert caplog.text.count("no patient position") == 1
    assert ds.PatientPosition == "HFS" and ds.ScanningSequence == "RM" and ds.SeriesDescription == "SMUG"
    conformant(tmp_path)


def conformant(folder):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy not found: install Debian's dicom3tools")
    for path in sorted(folder.glob("*.dcm")):
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert "Error" not in said, said
        assert "MRImage" in said


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_dciodvfy_finds_no_error(name, header, tmp_path):
    read, phase = ORIENTATIONS[name]
    normal = np.cross(read, phase)
    write_dicom([make(read, phase, tuple(normal * 4 * k), number=k + 1) for k in range(2)], header, tmp_path)
    conformant(tmp_path)


@pytest.mark.parametrize("part", ["HEAD", "KNEE", "anything else"])
def test_dciodvfy_accepts_body_parts(part, header, tmp_path):
    header.studyInformation.bodyPartExamined = part
    write_dicom([make()], header, tmp_path)
    conformant(tmp_path)


@pytest.mark.parametrize("sequence", ["MPRAGE", "SPGR", "EPI", "something new", None])
@pytest.mark.parametrize("inversion_ms", [[], [0.0], [900.0]])
def test_dciodvfy_accepts_sequences(sequence, inversion_ms, header, tmp_path):
    header.sequenceParameters.sequence_type, header.sequenceParameters.TI = sequence, inversion_ms
    (path,) = write_dicom([make()], header, tmp_path)
    ds = pydicom.dcmread(path)
    assert ("IR" in ds.ScanningSequence) == ("InversionTime" in ds) == bool(inversion_ms and inversion_ms[0])
    conformant(tmp_path)


def test_dcmdump_reads_the_files(header, tmp_path):
    if shutil.which("dcmdump") is None:
        pytest.skip("dcmdump not found: install Debian's dcmtk")
    path = write_dicom([make()], header, tmp_path)[0]
    said = subprocess.run(
        ["dcmdump", "+P", "SOPClassUID", str(path)], capture_output=True, text=True, check=True
    )
    assert "MRImageStorage" in said.stdout
