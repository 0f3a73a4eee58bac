"""DICOM attributes that come from the MRD header: patient, study, equipment, sequence."""

from __future__ import annotations

from typing import Any

import ismrmrd
from pydicom.dataset import Dataset

from smug_recon import __version__
from smug_recon.dicom.identifiers import frame_of_reference_uid, study_uid

SEQUENCES = (
    ("GR", "SP", ("SPGR", "FLASH", "T1FFE", "SPOILED")),
    ("GR", "MP", ("MPRAGE", "MP2RAGE", "TFE", "BRAVO", "TFL")),
    ("GR", "SS", ("TRUFI", "BSSFP", "FIESTA", "SSFP", "BFFE")),
    ("EP", "SK", ("EPI", "EP2D")),
    ("SE", "SK", ("TSE", "FSE", "TURBOSPINECHO", "RARE", "HASTE", "FLAIR", "SPACE", "CUBE", "VISTA")),
    ("SE", "NONE", ("SPINECHO", "SE2D", "_SE", "SE_")),
    ("GR", "NONE", ("GRE", "GRADIENTECHO", "GR", "FFE")),
)
"""ScanningSequence and SequenceVariant by what the sequence's name contains; the first match counts."""

UNKNOWN = "RM"
"""Research mode: the header does not tell the sequence."""

UNPAIRED = frozenset(
    {"HEAD", "BRAIN", "NECK", "CSPINE", "TSPINE", "LSPINE", "SPINE", "ABDOMEN", "PELVIS", "HEART"}
)


def fill_header(ds: Dataset, header: ismrmrd.xsd.ismrmrdHeader, contrast: int) -> None:
    """Set everything that the MRD header tells; the rest is left empty where DICOM demands the attribute."""
    _patient(ds, header.subjectInformation, header.studyInformation)
    _study(ds, header)
    _equipment(ds, header)
    _sequence(ds, header, contrast)


def _patient(ds: Dataset, subject: Any, study: Any) -> None:
    ds.PatientName = _text(subject, "patientName", 64)
    ds.PatientID = _text(subject, "patientID", 64)
    ds.PatientBirthDate = _date(_get(subject, "patientBirthdate"))
    sex = _text(subject, "patientGender", 16).upper()[:1]
    ds.PatientSex = sex if sex in ("M", "F", "O") else ""
    if ds.PatientBirthDate and (age := _age(ds.PatientBirthDate, _date(_get(study, "studyDate")))):
        ds.PatientAge = age
    if weight_kg := _get(subject, "patientWeight_kg"):
        ds.PatientWeight = decimal(weight_kg)
    if height_m := _get(subject, "patientHeight_m"):
        ds.PatientSize = decimal(height_m)


def _study(ds: Dataset, header: ismrmrd.xsd.ismrmrdHeader) -> None:
    study, measurement = header.studyInformation, header.measurementInformation
    ds.StudyInstanceUID = study_uid(header)
    ds.StudyDate, ds.StudyTime = _date(_get(study, "studyDate")), _time(_get(study, "studyTime"))
    ds.StudyID = _text(study, "studyID", 16)
    ds.AccessionNumber = _text(study, "accessionNumber", 16)
    ds.ReferringPhysicianName = _text(study, "referringPhysicianName", 64)
    if description := _text(study, "studyDescription", 64):
        ds.StudyDescription = description
    if part := _text(study, "bodyPartExamined", 16).upper():
        ds.BodyPartExamined = part
    if part not in UNPAIRED:
        ds.Laterality = ""  # type 2C: the side of a paired body part, which the MRD header does not tell
    ds.FrameOfReferenceUID = frame_of_reference_uid(header)
    ds.PositionReferenceIndicator = ""
    position = _get(measurement, "patientPosition")
    ds.PatientPosition = getattr(position, "value", position) or "HFS"
    if protocol := _text(measurement, "protocolName", 64):
        ds.ProtocolName = protocol
    if date := acquisition_date(header):
        ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = date
    if time := _time(_get(measurement, "seriesTime")) or ds.StudyTime:
        ds.SeriesTime = ds.ContentTime = time


def _equipment(ds: Dataset, header: ismrmrd.xsd.ismrmrdHeader) -> None:
    system = header.acquisitionSystemInformation
    ds.Manufacturer = _text(system, "systemVendor", 64)
    for keyword, name, length in (
        ("ManufacturerModelName", "systemModel", 64),
        ("InstitutionName", "institutionName", 64),
        ("StationName", "stationName", 16),
        ("DeviceSerialNumber", "deviceSerialNumber", 64),
    ):
        if text := _text(system, name, length):
            setattr(ds, keyword, text)
    ds.SoftwareVersions = f"smug-recon {__version__}"
    if coil := receive_coil(system):
        ds.ReceiveCoilName = coil
    if field_t := _get(system, "systemFieldStrength_T"):
        ds.MagneticFieldStrength = decimal(field_t)
    if header.experimentalConditions and header.experimentalConditions.H1resonanceFrequency_Hz:
        ds.ImagingFrequency = decimal(header.experimentalConditions.H1resonanceFrequency_Hz / 1e6)
        ds.ImagedNucleus = "1H"


def receive_coil(system: Any) -> str:
    """Name of the receive coil: what the labels of its elements begin with, as in HeadNeck_64:1:H12."""
    labels = [str(label.coilName) for label in _get(system, "coilLabel") or [] if label.coilName]
    if not labels:
        return ""
    names = [label.split(":")[0] for label in labels] if len(labels) > 1 else labels
    common = names[0]
    while not all(name.startswith(common) for name in names):
        common = common[:-1]
    return common.strip(" _-:\\")[:16].strip() or "MULTI COIL"


def _sequence(ds: Dataset, header: ismrmrd.xsd.ismrmrdHeader, contrast: int) -> None:
    sequence = header.sequenceParameters
    inversion_ms = _value(sequence, "TI", contrast)
    scanning, ds.SequenceVariant = _kind(header)
    if inversion_ms is None or float(inversion_ms) <= 0:
        ds.ScanningSequence = scanning
    else:
        ds.ScanningSequence = "IR" if scanning == UNKNOWN else [scanning, "IR"]
        ds.InversionTime = inversion_ms
    ds.ScanOptions = ""
    ds.MRAcquisitionType = "3D" if _encoded_partitions(header) > 1 else "2D"
    ds.RepetitionTime, ds.EchoTime = _value(sequence, "TR", contrast), _value(sequence, "TE", contrast)
    if (flip := _value(sequence, "flipAngle_deg", contrast)) is not None:
        ds.FlipAngle = flip
    ds.EchoTrainLength = header.encoding[0].echoTrainLength if header.encoding else None
    ds.EchoNumbers = contrast + 1
    if name := _text(header.measurementInformation, "sequenceName", 16):
        ds.SequenceName = name
    if header.encoding:
        _matrix(ds, header.encoding[0])


def _matrix(ds: Dataset, encoding: Any) -> None:
    """What was encoded; the number of lines that were acquired is the image's to tell (``provenance.py``)."""
    encoded, recon = encoding.encodedSpace, encoding.reconSpace
    samples = encoded.matrixSize.x
    if encoded.fieldOfView_mm.x > 0:  # without readout oversampling
        samples = round(samples * recon.fieldOfView_mm.x / encoded.fieldOfView_mm.x)
    ds.AcquisitionMatrix = [0, min(samples, 65535), min(encoded.matrixSize.y, 65535), 0]
    if recon.fieldOfView_mm.x > 0:
        ds.PercentPhaseFieldOfView = decimal(100 * recon.fieldOfView_mm.y / recon.fieldOfView_mm.x)
    average = _get(encoding.encodingLimits, "average")
    ds.NumberOfAverages = decimal((average.maximum if average else 0) + 1)


def _kind(header: ismrmrd.xsd.ismrmrdHeader) -> tuple[str, str]:
    names = (
        _get(header.sequenceParameters, "sequence_type"),
        _get(header.measurementInformation, "sequenceName"),
    )
    for name in names:
        plain = str(name or "").upper().replace(" ", "").replace("-", "")
        for scanning, variant, words in SEQUENCES:
            if plain and any(word in plain for word in words):
                return scanning, variant
    return UNKNOWN, "NONE"


def _encoded_partitions(header: ismrmrd.xsd.ismrmrdHeader) -> int:
    return header.encoding[0].encodedSpace.matrixSize.z if header.encoding else 1


def decimal(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 section 6.2, VR DS)."""
    value = float(value)
    for digits in range(15, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    return "0"


def sequence_value(header: ismrmrd.xsd.ismrmrdHeader, name: str, contrast: int) -> str | None:
    """TR, TE, TI or flipAngle_deg of a contrast as a decimal string; None if the header has none."""
    return _value(header.sequenceParameters, name, contrast)


def acquisition_date(header: ismrmrd.xsd.ismrmrdHeader) -> str:
    """Date of the series, else of the study, as YYYYMMDD; empty if the header has none."""
    found = _date(_get(header.measurementInformation, "seriesDate"))
    return found or _date(_get(header.studyInformation, "studyDate"))


def _value(sequence: Any, name: str, contrast: int) -> str | None:
    values = _get(sequence, name) or []
    return decimal(values[min(contrast, len(values) - 1)]) if values else None


def _get(part: Any, name: str) -> Any:
    return None if part is None else getattr(part, name, None)


def _text(part: Any, name: str, length: int) -> str:
    value = _get(part, name)
    text = "" if value is None else str(value)
    return "".join(" " if ord(sign) < 32 or sign == "\\" else sign for sign in text).strip()[:length].strip()


def _age(birth: str, day: str) -> str:
    """Age in years as an age string, 003Y; empty if it is none."""
    years = (int(day) - int(birth)) // 10000 if day else -1
    return f"{years:03d}Y" if 0 <= years <= 150 else ""


def _date(value: Any) -> str:
    return "" if value is None else f"{value.year:04d}{value.month:02d}{value.day:02d}"


def _time(value: Any) -> str:
    return "" if value is None else f"{value.hour:02d}{value.minute:02d}{value.second:02d}"
