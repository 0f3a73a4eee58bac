"""Beside files that scanners wrote: where their voxels lie, and which attributes they have that ours do not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_scans import KINDS, header, scan

from smug_recon.dicom import write_dicom

DOCS = Path(__file__).resolve().parents[2] / "docs" / "dicom.md"


def test_voxels_lie_where_a_siemens_scanner_puts_them(shared_data, tmp_path):
    """The protocol in a Skyra's own file gives the centre of its slab; its ImagePositionPatient follows from it with the
    image centre at voxel N // 2 in the plane, and partitions symmetric about it."""
    path = shared_data / "dicom_reference" / "classic_siemens_skyra_mprage.dcm"
    theirs = pydicom.dcmread(path)
    protocol = path.read_bytes().split(b"### ASCCONV BEGIN")[1].split(b"### ASCCONV END")[0].decode("latin1")

    def value(name: str) -> float:
        found = re.search(rf"{re.escape(name)}\s*=\s*(\S+)", protocol)
        return float(found.group(1)) if found else 0.0

    slab = "sSliceArray.asSlice[0]"
    centre, normal = (
        np.array([value(f"{slab}.{name}.d{axis}") for axis in ("Sag", "Cor", "Tra")])
        for name in ("sPosition", "sNormal")
    )
    depth_mm, partitions = value(f"{slab}.dThickness"), int(value("sKSpace.lImagesPerSlab"))
    read, phase = np.array(theirs.ImageOrientationPatient, float).reshape(2, 3)
    offset_mm = (
        np.array(theirs.ImagePositionPatient, float) - centre
    ) @ normal  # 49.5 partitions from the centre
    steps = offset_mm / (depth_mm / partitions)
    assert steps == pytest.approx(round(steps - 0.5) + 0.5, abs=1e-3)
    (image,) = scan(read, phase, slices=1)
    image.resize(1, 1, theirs.Rows, theirs.Columns)
    image.data[:] = 0
    fov_mm = value(f"{slab}.dReadoutFOV")
    image.field_of_view = (fov_mm, value(f"{slab}.dPhaseFOV"), depth_mm / partitions)
    image.position = tuple(centre + offset_mm * normal)
    ours = pydicom.dcmread(write_dicom([image], header(), tmp_path)[0])
    np.testing.assert_allclose(
        np.array(ours.ImagePositionPatient, float), np.array(theirs.ImagePositionPatient, float), atol=2e-3
    )
    np.testing.assert_allclose(
        np.array(ours.ImageOrientationPatient, float),
        np.array(theirs.ImageOrientationPatient, float),
        atol=1e-6,
    )
    assert [float(x) for x in ours.PixelSpacing] == [float(x) for x in theirs.PixelSpacing]
    assert float(ours.SliceThickness) == pytest.approx(float(theirs.SliceThickness), abs=1e-6)


def keywords(ds: pydicom.Dataset) -> set[str]:
    """Every standard attribute with a value, those of sequences too."""
    found = set()
    for element in ds:
        if element.tag.is_private or not element.keyword or element.tag.group == 0x6000:
            continue
        if element.VR == "SQ":
            found.add(element.keyword)
            for item in element.value:
                found |= keywords(item)
        elif element.value not in (None, ""):
            found.add(element.keyword)
    return found


@pytest.mark.parametrize("multiframe", [False, True], ids=["classic", "enhanced"])
def test_what_scanners_write_and_we_do_not_is_in_the_docs(multiframe, shared_data, tmp_path):
    """The table of docs/dicom.md names every attribute of a scanner's file that no file of ours has."""
    ours: set[str] = set()
    for number, make in enumerate(KINDS.values()):
        for path in write_dicom(make(), header(), tmp_path / str(number), multiframe=multiframe):
            ours |= keywords(pydicom.dcmread(path))
    theirs: set[str] = set()
    pattern = "enhanced_*.dcm" if multiframe else "classic_*.dcm"
    for path in (shared_data / "dicom_reference").glob(pattern):
        theirs |= keywords(pydicom.dcmread(path, stop_before_pixels=True))
    explained = set(
        re.findall(r"[A-Za-z][A-Za-z0-9]+", DOCS.read_text().split("## What scanners write and we do not")[1])
    )
    assert theirs - ours - explained - {"PixelData"} == set()
