"""What the files say: series of their own, numbers, values, times, origin, identity."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from dicom_scans import KINDS, header, scan

from smug_recon.dicom import write_dicom, write_nifti
from smug_recon.dicom.attributes import receive_coil
from smug_recon.errors import ConfigurationError, DataError


def read(images, folder, **options):
    return [
        pydicom.dcmread(path)
        for path in write_dicom(images, options.pop("head", header()), folder, **options)
    ]


def test_every_kind_is_a_series_of_its_own(tmp_path):
    fallback = scan(slices=1, DataRole=["Image", "FALLBACK"])
    network, conventional = KINDS["slices"](), KINDS["conventional"]()
    smaller = scan(slices=1, index=2, network=False)[0]
    smaller.resize(1, 1, 8, 8)
    uncertainty = KINDS["uncertainty"]()
    sets = read([*network, *fallback, *conventional, smaller, *uncertainty], tmp_path)
    series = {}
    for ds in sets:
        series.setdefault(ds.SeriesInstanceUID, []).append(ds)
    numbers = {int(group[0].SeriesNumber): len(group) for group in series.values()}
    assert numbers == {301: 3, 311: 1, 302: 2, 303: 1, 308: 2}
    assert [ds.InstanceNumber for ds in series[sets[0].SeriesInstanceUID]] == [1, 2, 3]
    assert len({ds.SOPInstanceUID for ds in sets}) == len(sets)
    assert len({(ds.StudyInstanceUID, ds.FrameOfReferenceUID) for ds in sets}) == 1
    types = {int(ds.SeriesNumber): list(ds.ImageType) for ds in sets}
    assert types[301] == ["DERIVED", "PRIMARY", "M", "SMUG", "AI"]
    assert types[311] == ["DERIVED", "PRIMARY", "M", "SMUG", "FALLBACK"]
    assert "AI" not in types[302] and "STD_DEVIATION" in types[308]


def test_the_origin_is_named(tmp_path):
    by_network, fallback = read([*scan(slices=1), *scan(slices=1, DataRole=["Image", "FALLBACK"])], tmp_path)
    scanner, software = by_network.ContributingEquipmentSequence
    assert (
        scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101" and scanner.Manufacturer == "SIEMENS"
    )
    assert software.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert any(version.startswith("smug-recon ") for version in software.SoftwareVersions)
    assert "net 0.3" in software.SoftwareVersions and "ab" * 32 in software.ContributionDescription
    assert "AI" in by_network.DerivationDescription and "ab" * 32 in by_network.DerivationDescription
    assert by_network.ImageComments.startswith("AI reconstruction")
    assert "FALLBACK" in fallback.DerivationDescription and "neural" not in fallback.DerivationDescription
    assert "no neural network" in fallback.ContributingEquipmentSequence[-1].ContributionDescription


def test_sequence_coil_and_sampling(tmp_path):
    first, _, second, _ = read(KINDS["echoes"](), tmp_path)
    assert (float(first.EchoTime), float(second.EchoTime)) == (98.5, 197.0)
    assert (first.EchoNumbers, second.EchoNumbers) == (1, 2)
    assert (first.ReceiveCoilName, int(first.EchoTrainLength), float(first.FlipAngle)) == (
        "HeadNeck_20",
        8,
        150,
    )
    assert list(first.AcquisitionMatrix) == [0, 12, 16, 0] and first.InPlanePhaseEncodingDirection == "COL"
    assert (int(first.NumberOfPhaseEncodingSteps), float(first.PercentSampling)) == (4, 25)
    assert (first.PatientAge, first.AccessionNumber) == ("024Y", "4711047110")
    assert first.BurnedInAnnotation == "NO"
    (volume, _) = read(KINDS["echoes"](), tmp_path / "enhanced", multiframe=True)
    assert volume.PerFrameFunctionalGroupsSequence[0].MREchoSequence[0].EffectiveEchoTime == 98.5


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        (["HeadNeck_64:1:H1", "HeadNeck_64:1:N2"], "HeadNeck_64"),
        (["Head_1", "Head_2"], "Head"),
        (["A", "B"], "MULTI COIL"),
        (["Body coil of the system"], "Body coil of the"),
        ([], ""),
    ],
)
def test_the_coil_is_called_what_its_elements_share(labels, name):
    system = header().acquisitionSystemInformation
    system.coilLabel = [
        type(system.coilLabel[0])(coilNumber=k, coilName=label) for k, label in enumerate(labels)
    ]
    assert receive_coil(system) == name


def test_cine_has_trigger_times_and_temporal_positions(tmp_path):
    sets = read(KINDS["cine"](), tmp_path)
    assert [float(ds.TriggerTime) for ds in sets] == [
        0,
        0,
        40,
        40,
        80,
        80,
        120,
        120,
    ]  # 16 ticks of 2.5 ms a phase
    assert [ds.TemporalPositionIdentifier for ds in sets] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert {(ds.NumberOfTemporalPositions, ds.CardiacNumberOfImages, ds.ScanOptions) for ds in sets} == {
        (4, 4, "CG")
    }
    assert [float(ds.SliceLocation) for ds in sets[:4]] == [11, 15.5, 11, 15.5]
    (film,) = read(KINDS["cine"](), tmp_path / "enhanced", multiframe=True)
    groups = film.PerFrameFunctionalGroupsSequence
    delays = [each.CardiacSynchronizationSequence[0].NominalCardiacTriggerDelayTime for each in groups]
    assert delays == [0, 0, 40, 40, 80, 80, 120, 120]
    assert [list(each.FrameContentSequence[0].DimensionIndexValues) for each in groups[:3]] == [
        [1, 1, 1],
        [1, 2, 1],
        [1, 1, 2],
    ]
    untriggered = KINDS["cine"]()
    for image in untriggered:
        image.physiology_time_stamp[0] = 0
    assert all(ds.TriggerTime is None for ds in read(untriggered, tmp_path / "none"))


def test_repetitions_are_numbered_and_timed(tmp_path):
    sets = read(KINDS["repetitions"](), tmp_path)
    assert [ds.AcquisitionNumber for ds in sets] == [1, 1, 2, 2, 3, 3]
    assert [ds.InstanceNumber for ds in sets] == [1, 2, 3, 4, 5, 6]
    assert {float(ds.TemporalResolution) for ds in sets} == {1000.0}  # 400 ticks
    assert [ds.AcquisitionTime for ds in sets[:3]] == ["131140.000000", "131140.100000", "131141.000000"]
    volumes = read(KINDS["repetitions"](), tmp_path / "enhanced", multiframe=True)
    assert [(ds.InstanceNumber, ds.NumberOfFrames) for ds in volumes] == [(1, 2), (2, 2), (3, 2)]


def test_slices_are_numbered_along_the_normal_whatever_the_order_of_arrival(tmp_path):
    images = KINDS["slices"]()
    shuffled = [images[2], images[0], images[1]]
    for number, image in enumerate(shuffled, start=1):
        image.image_index = number
    locations = [float(ds.SliceLocation) for ds in read(shuffled, tmp_path)]
    assert locations == [11, 15.5, 20]


def test_float_and_complex_values_have_one_factor_in_a_series(tmp_path):
    images = KINDS["complex"]()
    images[1].data[:] *= 0.25
    sets = read(images, tmp_path, components=("magnitude", "phase", "real", "imaginary"))
    stored = {int(ds.SeriesNumber): [] for ds in sets}
    for ds in sets:
        stored[int(ds.SeriesNumber)].append(ds.pixel_array.astype(float))
        assert "RescaleSlope" not in ds
    truth = np.stack([image.data[0, 0] for image in images])
    magnitude, phase, real, imaginary = (np.stack(stored[number]) for number in (301, 321, 341, 361))
    assert magnitude.max() == 32767
    assert np.abs(magnitude / 32767 * np.abs(truth).max() - np.abs(truth)).max() < np.abs(truth).max() / 65000
    assert phase.min() >= 0 and phase.max() <= 4095
    angle = np.angle(np.exp(1j * ((phase - 2048) / 2048 * np.pi - np.angle(truth))))
    assert np.abs(angle[np.abs(truth) > 0]).max() < np.pi / 4000
    together = real + 1j * imaginary  # one factor for both: they can be combined again
    ratio = together[np.abs(truth) > 1e-4] / truth[np.abs(truth) > 1e-4]
    np.testing.assert_allclose(ratio, ratio.real.mean(), rtol=0.01)


def test_integer_pixels_and_their_window_stay_as_they_are(tmp_path):
    images = scan(slices=1, WindowCenter="450", WindowWidth="900")
    (ds,) = read(images, tmp_path)
    np.testing.assert_array_equal(ds.pixel_array, images[0].data[0, 0])
    assert (float(ds.WindowCenter), float(ds.WindowWidth), ds.BitsStored, ds.HighBit) == (450, 900, 16, 15)
    assert ds.LargestImagePixelValue == images[0].data.max()


def test_same_scan_same_uids_other_scan_others(tmp_path):
    def uids(head, images, folder, **options):
        return {ds.SOPInstanceUID for ds in read(images, tmp_path / folder, head=head, **options)}

    one = uids(header(), KINDS["slices"](), "a")
    assert uids(header(), KINDS["slices"](), "b") == one
    other = header()
    other.measurementInformation.measurementID = "m2"
    later = KINDS["slices"]()
    for image in later:
        image.acquisition_time_stamp += 1
    changed = {
        "c": (other, KINDS["slices"](), {}),
        "d": (header(), later, {}),
        "e": (header(), KINDS["slices"](), {"multiframe": True}),
        "f": (header(), KINDS["slices"](), {"patient_id": "P-2"}),
        "g": (header(), KINDS["slices"](), {"anonymise": True}),
    }
    for folder, (head, images, options) in changed.items():
        assert not uids(head, images, folder, **options) & one, folder


@pytest.mark.parametrize("multiframe", [False, True])
def test_anonymous_files_hold_nothing_of_the_patient(multiframe, tmp_path):
    files = write_dicom(KINDS["slices"](), header(), tmp_path, anonymise=True, multiframe=multiframe)
    plain = read(KINDS["slices"](), tmp_path / "plain", multiframe=multiframe)[0]
    for path in files:
        data = path.read_bytes()
        for name in (b"Phantom", b"P-1", b"Doctor", b"Hospital", b"MR7"):
            assert name not in data, name
        said = [
            str(each.value) for each in pydicom.dcmread(path).iterall() if each.VR not in ("UI", "OW", "SQ")
        ]
        for number in ("1999", "2024", "4711", "1311"):  # years, accession number, hour
            assert not [value for value in said if number in value], number
        assert plain.StudyInstanceUID.encode() not in data and plain.FrameOfReferenceUID.encode() not in data
    ds = pydicom.dcmread(files[0])
    assert ds.PatientIdentityRemoved == "YES" and ds.PatientID.startswith("ANON-")
    again = read(KINDS["conventional"](), tmp_path / "more", anonymise=True)[0]
    assert (again.StudyInstanceUID, again.PatientID) == (
        ds.StudyInstanceUID,
        ds.PatientID,
    )  # series stay together
    named = read(KINDS["slices"](), tmp_path / "named", anonymise=True, patient_id="S-007")[0]
    assert named.PatientID == "S-007" and "S-007" in str(named.PatientName)


def test_another_patient_id_keeps_the_study(tmp_path):
    plain, named = (read(scan(), tmp_path / str(name), patient_id=name)[0] for name in (None, "P-9"))
    assert (plain.PatientID, named.PatientID) == ("P-1", "P-9")
    assert plain.StudyInstanceUID == named.StudyInstanceUID and str(named.PatientName) == "Phantom^Head"


def test_studies_are_told_apart_by_what_names_them():
    from smug_recon.dicom.identifiers import frame_of_reference_uid, study_uid

    first, second = header(), header()
    second.measurementInformation.measurementID = "later"
    assert study_uid(first) == study_uid(second)
    assert frame_of_reference_uid(first) == frame_of_reference_uid(second)
    for head in (first, second):
        head.studyInformation.studyDate = None
    assert study_uid(first) != study_uid(second)  # nothing names the study: every measurement is one
    for head in (first, second):
        head.measurementInformation.frameOfReferenceUID = "1.2.3"
        head.measurementInformation.measurementID = "any"
    assert study_uid(first) == study_uid(second) and frame_of_reference_uid(first) == "1.2.3"


def test_nifti_holds_the_values_and_names_nobody(tmp_path):
    images = KINDS["complex"]()
    (magnitude, phase) = write_nifti(images, header(), tmp_path)
    import nibabel

    found = nibabel.load(magnitude)
    truth = np.stack([image.data[0, 0] for image in images])
    np.testing.assert_allclose(np.asarray(found.dataobj), np.abs(truth).transpose(2, 1, 0), rtol=1e-6)
    np.testing.assert_allclose(
        np.asarray(nibabel.load(phase).dataobj), np.angle(truth).transpose(2, 1, 0), atol=1e-6
    )
    assert found.header["qform_code"] == found.header["sform_code"] == 1
    said = (tmp_path / "00301.json").read_text()
    assert (
        '"RepetitionTime": 4.0' in said and "Phantom" not in said and "P-1" not in said and "2024" not in said
    )
    (film,) = write_nifti(KINDS["repetitions"](), header(), tmp_path / "film")
    assert nibabel.load(film).shape == (12, 16, 2, 3) and nibabel.load(film).header["pixdim"][4] == 1.0


def test_planes_that_make_no_stack_become_files_of_their_own(tmp_path):
    axial, coronal = scan(slices=1)[0], scan((1, 0, 0), (0, 0, -1), slices=1)[0]
    coronal.slice = 1
    files = write_nifti([axial, coronal], header(), tmp_path)
    assert [path.name for path in files] == ["00301_s1.nii.gz", "00301_s2.nii.gz"]
    ds = read([axial, coronal], tmp_path / "dicom")
    assert len({each.SeriesInstanceUID for each in ds}) == 1 and "SpacingBetweenSlices" not in ds[0]


def test_what_cannot_be_written_is_refused(tmp_path):
    (image,) = scan(slices=1)
    image.field_of_view = (18.0, 0.0, 3.0)
    with pytest.raises(DataError, match="field of view"):
        write_dicom([image], header(), tmp_path)
    (image,) = scan(slices=1, dtype=np.float32)
    image.data[0, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match="NaN"):
        write_dicom([image], header(), tmp_path)
    with pytest.raises(ConfigurationError, match="components"):
        write_dicom(scan(), header(), tmp_path, components=("colour",))
    assert not list(tmp_path.glob("*.dcm"))
