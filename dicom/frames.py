"""Functional groups of an Enhanced MR object: what all frames share, and what every frame says (PS3.3 C.7.6.16)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from smug_recon.dicom.attributes import acquisition_date, decimal, sequence_value
from smug_recon.dicom.classic import Context, meta_window, orientation, phase_direction, position
from smug_recon.dicom.frametype import describe, image_type
from smug_recon.dicom.kinds import IMAGINARY, MAGNITUDE, PHASE, REAL
from smug_recon.dicom.moments import acquisition_time
from smug_recon.dicom.provenance import coded
from smug_recon.dicom.stacks import Frame
from smug_recon.dicom.values import rescaled, window

REGIONS = {
    "HEAD": ("69536005", "Head"),
    "BRAIN": ("12738006", "Brain"),
    "NECK": ("45048000", "Neck"),
    "ABDOMEN": ("818981001", "Abdomen"),
    "PELVIS": ("816092008", "Pelvis"),
    "CHEST": ("816094009", "Chest"),
    "HEART": ("80891009", "Heart"),
    "SPINE": ("421060004", "Vertebral column"),
    "KNEE": ("72696002", "Knee"),
    "SHOULDER": ("16982005", "Shoulder"),
}
"""SNOMED CT codes of CID 4031 by BodyPartExamined; ``UNSPECIFIED`` where the header does not tell."""

UNSPECIFIED = ("38266002", "Entire body")

UNITS = {
    PHASE: ("rad", "radian"),
    MAGNITUDE: ("1", "no units"),
    REAL: ("1", "no units"),
    IMAGINARY: ("1", "no units"),
}


def shared(context: Context, frame: Frame, told: Dataset) -> Dataset:
    """Return what holds for all frames, of which ``frame`` is one; ``told`` has the classic attributes of the sequence."""
    series = context.series
    groups = Dataset()
    measures = _item(groups, "PixelMeasuresSequence")
    measures.PixelSpacing = [decimal(round(frame.where.row_mm, 6)), decimal(round(frame.where.column_mm, 6))]
    measures.SliceThickness = decimal(round(frame.where.thickness_mm, 6))
    if series.spacing_mm is not None:
        measures.SpacingBetweenSlices = decimal(round(series.spacing_mm, 6))
    anatomy = _item(groups, "FrameAnatomySequence")
    anatomy.FrameLaterality = "U"
    part = _body_part(context)
    value, meaning = REGIONS.get(part, UNSPECIFIED)
    anatomy.AnatomicRegionSequence = [coded(value, "SCT", meaning)]
    _values(groups, context)
    _frame_type(groups, context)
    geometry = _item(groups, "MRFOVGeometrySequence")
    direction = phase_direction(frame.image, frame.where)
    geometry.InPlanePhaseEncodingDirection = {"COL": "COLUMN", "ROW": "ROW"}.get(direction, "OTHER")
    if matrix := told.get("AcquisitionMatrix"):
        geometry.MRAcquisitionFrequencyEncodingSteps = int(matrix[1])
        geometry.MRAcquisitionPhaseEncodingStepsInPlane = int(
            told.get("NumberOfPhaseEncodingSteps") or matrix[2]
        )
    encoding = context.header.encoding
    if encoding and encoding[0].encodedSpace.matrixSize.z > 1:
        geometry.MRAcquisitionPhaseEncodingStepsOutOfPlane = int(encoding[0].encodedSpace.matrixSize.z)
    for keyword in ("PercentSampling", "PercentPhaseFieldOfView"):
        if keyword in told:
            setattr(geometry, keyword, told[keyword].value)
    if "NumberOfAverages" in told:
        _item(groups, "MRAveragesSequence").NumberOfAverages = told.NumberOfAverages
    _coil(groups, context, told)
    return groups


def per_frame(context: Context, frame: Frame, times: list[int]) -> Dataset:
    """Return the groups of one frame: place, moment, echo, window; ``times`` are the moments of its object."""
    series, image = context.series, frame.image
    groups = Dataset()
    content = _item(groups, "FrameContentSequence")
    content.FrameAcquisitionNumber = int(image.repetition) + 1
    content.StackID, content.InStackPositionNumber = "1", frame.place + 1
    content.DimensionIndexValues = [1, frame.place + 1]
    if len(series.times) > 1:
        content.TemporalPositionIndex = frame.time + 1
    if len(times) > 1:
        content.DimensionIndexValues = [1, frame.place + 1, times.index(frame.time) + 1]
    date = _date(context)
    if date and (time := acquisition_time(image)):
        content.FrameAcquisitionDateTime = content.FrameReferenceDateTime = date + time
    _item(groups, "PlanePositionSequence").ImagePositionPatient = position(frame.where)
    _item(groups, "PlaneOrientationSequence").ImageOrientationPatient = orientation(frame.where)
    echo_ms = sequence_value(context.header, "TE", frame.contrast)
    if echo_ms is not None:
        _item(groups, "MREchoSequence").EffectiveEchoTime = float(echo_ms)
    if series.cine and int(image.phase) in series.trigger_ms:
        cardiac = _item(groups, "CardiacSynchronizationSequence")
        cardiac.NominalCardiacTriggerDelayTime = series.trigger_ms[int(image.phase)]
    pixels_yx = context.code.stored(frame.values_yx)
    shown = rescaled(window(meta_window(image), context.code, pixels_yx), context.code)
    lookup = _item(groups, "FrameVOILUTSequence")
    lookup.WindowCenter, lookup.WindowWidth = decimal(shown[0]), decimal(shown[1])
    return groups


def _values(groups: Dataset, context: Context) -> None:
    code = context.code
    transformation = _item(groups, "PixelValueTransformationSequence")
    slope, intercept = code.shown
    transformation.RescaleSlope, transformation.RescaleIntercept = decimal(slope), decimal(intercept)
    transformation.RescaleType = "US"
    slope, intercept = code.unit
    if (slope, intercept) == (1.0, 0.0):
        return
    world = _item(groups, "RealWorldValueMappingSequence")
    world.RealWorldValueFirstValueMapped, world.RealWorldValueLastValueMapped = 0, 2**code.bits - 1
    world.RealWorldValueSlope, world.RealWorldValueIntercept = slope, intercept
    world.LUTLabel = context.series.kind.component.upper()
    world.LUTExplanation = f"{context.series.kind.component} in units of the image"
    unit, meaning = UNITS[context.series.kind.component]
    world.MeasurementUnitsCodeSequence = [coded(unit, "UCUM", meaning)]


def _frame_type(groups: Dataset, context: Context) -> None:
    kind = _item(groups, "MRImageFrameTypeSequence")
    kind.FrameType = image_type(context)
    describe(kind, context)


def _coil(groups: Dataset, context: Context, told: Dataset) -> None:
    system = context.header.acquisitionSystemInformation
    labels = [label for label in (getattr(system, "coilLabel", None) or [])] if system else []
    if not labels:
        return
    coil = _item(groups, "MRReceiveCoilSequence")
    coil.ReceiveCoilName = told.get("ReceiveCoilName") or "MULTI COIL"
    coil.ReceiveCoilManufacturerName = ""
    coil.ReceiveCoilType = "MULTICOIL" if len(labels) > 1 else "VOLUME"
    coil.QuadratureReceiveCoil = "NO"
    if len(labels) > 1:
        elements = []
        for label in labels:
            element = Dataset()
            element.MultiCoilElementName = str(label.coilName).replace("\\", "/")[-16:].strip() or "element"
            element.MultiCoilElementUsed = "YES"
            elements.append(element)
        coil.MultiCoilDefinitionSequence = elements


def _item(groups: Dataset, keyword: str) -> Dataset:
    item = Dataset()
    setattr(groups, keyword, [item])
    return item


def _body_part(context: Context) -> str:
    study = context.header.studyInformation
    return str(getattr(study, "bodyPartExamined", None) or "").strip().upper()


def _date(context: Context) -> str:
    return "" if context.anonymous else acquisition_date(context.header)
