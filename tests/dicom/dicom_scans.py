"""Images as the chain sends them, of every kind, and other programs that read what is written of them."""

from __future__ import annotations

import itertools
import shutil
import subprocess

import ismrmrd
import nibabel
import numpy as np
import pytest

HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
 <subjectInformation><patientName>Phantom^Head</patientName><patientWeight_kg>71.5</patientWeight_kg>
  <patientHeight_m>1.8</patientHeight_m>
  <patientID>P-1</patientID><patientBirthdate>1999-12-31</patientBirthdate><patientGender>O</patientGender>
 </subjectInformation>
 <studyInformation><studyDate>2024-02-29</studyDate><studyTime>13:14:15</studyTime><studyID>7</studyID>
  <accessionNumber>4711047110</accessionNumber><referringPhysicianName>Doctor^A</referringPhysicianName>
  <studyDescription>of Phantom</studyDescription><bodyPartExamined>HEAD</bodyPartExamined></studyInformation>
 <measurementInformation><measurementID>m1</measurementID><patientPosition>POSITION</patientPosition>
  <initialSeriesNumber>3</initialSeriesNumber><protocolName>tse Phantom</protocolName>
  <sequenceName>*tse2d</sequenceName>
  <seriesDescription>tse Phantom</seriesDescription></measurementInformation>
 <acquisitionSystemInformation><systemVendor>VENDOR</systemVendor><systemModel>Any</systemModel>
  <systemFieldStrength_T>2.89362</systemFieldStrength_T>
  <coilLabel><coilNumber>0</coilNumber><coilName>HeadNeck_20:1:H1</coilName></coilLabel>
  <coilLabel><coilNumber>1</coilNumber><coilName>HeadNeck_20:1:H2</coilName></coilLabel>
  <institutionName>Hospital</institutionName><stationName>MR7</stationName></acquisitionSystemInformation>
 <experimentalConditions><H1resonanceFrequency_Hz>123200000</H1resonanceFrequency_Hz></experimentalConditions>
 <encoding>
  <encodedSpace><matrixSize><x>24</x><y>16</y><z>1</z></matrixSize>
   <fieldOfView_mm><x>36</x><y>20</y><z>3</z></fieldOfView_mm></encodedSpace>
  <reconSpace><matrixSize><x>12</x><y>16</y><z>1</z></matrixSize>
   <fieldOfView_mm><x>18</x><y>20</y><z>3</z></fieldOfView_mm></reconSpace>
  <encodingLimits/><trajectory>cartesian</trajectory><echoTrainLength>8</echoTrainLength>
 </encoding>
 <sequenceParameters><TR>4000</TR><TE>98.5</TE><TE>197</TE><TI>2500</TI><flipAngle_deg>150</flipAngle_deg>
  <sequence_type>TurboSpinEcho</sequence_type></sequenceParameters>
</ismrmrdHeader>"""

CENTRE_MM = np.array([5.0, -7.0, 11.0])
STEP_MM = 4.5
SHAPE_YX = (16, 12)
PIXEL_MM = (20 / 16, 18 / 12)


def header(position: str = "HFS", vendor: str = "SIEMENS") -> ismrmrd.xsd.ismrmrdHeader:
    return ismrmrd.xsd.CreateFromDocument(HEADER.replace("POSITION", position).replace("VENDOR", vendor))


def scan(
    read=(1.0, 0, 0),
    phase=(0, 1.0, 0),
    *,
    slices=3,
    phases=1,
    repetitions=1,
    echoes=1,
    dtype=np.uint16,
    kind=None,
    index=1,
    network=True,
    **meta,
):
    """The images of a scan, slices STEP_MM apart along the normal, with noise for pixels."""
    normal, images = np.cross(read, phase), []
    rng = np.random.default_rng(index)
    for r, p, e, k in itertools.product(range(repetitions), range(phases), range(echoes), range(slices)):
        pixels_yx = rng.integers(0, 900, SHAPE_YX).astype(float)
        if np.issubdtype(dtype, np.complexfloating):
            pixels_yx = pixels_yx * np.exp(1j * rng.uniform(-3.1, 3.1, SHAPE_YX)) * 1e-5
        elif np.issubdtype(dtype, np.floating):
            pixels_yx = pixels_yx * 1e-5
        image = ismrmrd.Image.from_array(
            pixels_yx.astype(dtype),
            transpose=False,
            field_of_view=(18.0, 20.0, 3.0),
            position=tuple(CENTRE_MM + k * STEP_MM * normal),
            read_dir=tuple(map(float, read)),
            phase_dir=tuple(map(float, phase)),
            slice_dir=tuple(normal),
            acquisition_time_stamp=19_000_000 + 400 * r + 40 * k,
        )
        complex_data = np.iscomplexobj(pixels_yx)
        image.image_type = kind or (ismrmrd.IMTYPE_COMPLEX if complex_data else ismrmrd.IMTYPE_MAGNITUDE)
        image.image_index, image.image_series_index = len(images) + 1, index
        image.repetition, image.phase, image.contrast, image.slice = r, p, e, k
        image.physiology_time_stamp[0] = 16 * p
        entries = {
            "DataRole": "Image",
            "SeriesDescription": "head SMUG",
            "ImageProcessingHistory": ["SMUG-RECON", "SMUG"],
            "ImageComments": "SMUG, 4 of 16 lines, 2 coils",
            "SequenceDescriptionAdditional": "SMUG",
            "SmugLines": "4 of 16",
            "SmugPixelBandwidthHz": "195.312",
            "SmugPipeline": "smug-cartesian",
            "SmugPipelineSha256": "cd" * 32,
        }
        if network:
            entries |= {"SmugModel": "net", "SmugModelVersion": "0.3", "SmugModelSha256": "ab" * 32}
        image.meta = ismrmrd.Meta({**entries, **meta})
        images.append(image)
    return images


KINDS = {
    "slices": lambda: scan(),
    "one slice": lambda: scan(slices=1),
    "cine": lambda: scan(slices=2, phases=4),
    "repetitions": lambda: scan(slices=2, repetitions=3),
    "echoes": lambda: scan(slices=2, echoes=2),
    "complex": lambda: scan(slices=2, dtype=np.complex64),
    "float": lambda: scan(slices=2, dtype=np.float32),
    "fallback": lambda: scan(slices=2, DataRole=["Image", "FALLBACK"]),
    "uncertainty": lambda: scan(slices=2, index=3, dtype=np.float32, DataRole=["Image", "UNCERTAINTY"]),
    "conventional": lambda: scan(slices=2, index=2, network=False),
}


def program(name: str, package: str) -> str:
    """The path of another program; the test skips where it is not installed."""
    if (path := shutil.which(name)) is None:
        pytest.skip(f"{name} not found: install Debian's {package}")
    return path


def run(*command: object) -> str:
    """What a program says; it has to succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def dciodvfy(path) -> list[str]:
    """What dciodvfy says of a file, line by line."""
    checker = program("dciodvfy", "dicom3tools")
    done = subprocess.run([checker, "-new", str(path)], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()


def dcm2niix(folder, out) -> dict[str, nibabel.Nifti1Image]:
    """What dcm2niix makes of a folder, by file name."""
    out.mkdir()
    run(program("dcm2niix", "dcm2niix"), "-z", "n", "-f", "%s", "-o", out, folder)
    return {path.stem: nibabel.load(path) for path in sorted(out.glob("*.nii"))}


def lps_mm(affine, index) -> np.ndarray:
    """Where a NIfTI voxel lies, in DICOM's axes."""
    return (affine @ [*index[:3], 1])[:3] * [-1, -1, 1]
