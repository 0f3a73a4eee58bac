"""Frames as an Enhanced MR Image Storage object (PS3.3 A.36.2), in functional groups."""

from __future__ import annotations

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import EnhancedMRImageStorage

from smug_recon.dicom.classic import Context, base
from smug_recon.dicom.frames import per_frame, shared
from smug_recon.dicom.frametype import describe, image_type
from smug_recon.dicom.identifiers import derived_uid
from smug_recon.dicom.moments import acquisition_time
from smug_recon.dicom.stacks import Frame

UNKNOWN_DATE, UNKNOWN_TIME = "19000101", "000000"
"""ContentDate and ContentTime where the header has none: Enhanced MR demands them (PS3.3 C.7.6.16)."""

ONLY_CLASSIC = (
    "AcquisitionDate",
    "AcquisitionMatrix",
    "AcquisitionTime",
    "EchoNumbers",
    "EchoTime",
    "ImagedNucleus",
    "ImagingFrequency",
    "Laterality",
    "MRAcquisitionType",
    "NumberOfAverages",
    "NumberOfPhaseEncodingSteps",
    "PercentPhaseFieldOfView",
    "PercentSampling",
    "ReceiveCoilName",
    "ScanOptions",
    "ScanningSequence",
    "SequenceVariant",
)
"""What Enhanced MR says in functional groups, in other attributes, or not at all.

TR, TI, flip angle and echo train stay at the top, where Philips writes them too: their functional groups may not be
without SAR, operating mode, flow compensation and saturation, of which the MRD header tells nothing.
"""


def enhanced(context: Context, frames: list[Frame], number: int) -> Dataset:
    """Return the Enhanced MR object of some frames of a series, which differ in place and cardiac phase.

    Dimensions: stack, place along the normal, and moment where there are several. Frames follow volume by volume.
    """
    first = frames[0]
    ds = base(context, first, EnhancedMRImageStorage, number)
    told = Dataset()
    for keyword in ONLY_CLASSIC:
        if keyword in ds:
            told[Tag(tag_for_keyword(keyword))] = ds[keyword]
            del ds[keyword]
    ds.ImageType = image_type(context)
    describe(ds, context)
    ds.AcquisitionNumber = int(first.image.repetition) + 1
    ds.ContentDate = ds.get("ContentDate") or UNKNOWN_DATE
    ds.ContentTime = ds.get("ContentTime") or UNKNOWN_TIME
    for keyword in ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber"):
        if not ds.get(keyword):
            setattr(ds, keyword, "unknown")
    if "AcquisitionDate" in told and not context.anonymous and (time := acquisition_time(first.image)):
        ds.AcquisitionDateTime = told.AcquisitionDate + time
    ds.AcquisitionContextSequence = []
    ds.ContentQualification = "RESEARCH"
    ds.ApplicableSafetyStandardAgency = "IEC"  # IEC 60601-2-33, of MR scanners; validators demand one
    if not ds.get("PositionReferenceIndicator"):
        ds.PositionReferenceIndicator = ""
    if "ImagedNucleus" in told:
        ds.ResonantNucleus = "1H"
    ds.NumberOfFrames = len(frames)
    times = sorted({frame.time for frame in frames})
    dimensions(ds, context, len(times))
    ds.SharedFunctionalGroupsSequence = [shared(context, first, told)]
    ds.PerFrameFunctionalGroupsSequence = [per_frame(context, frame, times) for frame in frames]
    pixels = np.stack([context.code.stored(frame.values_yx) for frame in frames])
    ds.PixelData = pixels.astype("<u2").tobytes()
    return ds


def dimensions(ds: Dataset, context: Context, times: int) -> None:
    """Set the Multi-frame Dimension module; ``frames.per_frame`` counts in the same order."""
    pointers = [("StackID", "FrameContentSequence"), ("InStackPositionNumber", "FrameContentSequence")]
    if times > 1:
        pointers.append(("TemporalPositionIndex", "FrameContentSequence"))
    uid = derived_uid("dimensions", context.series_uid)
    organization = Dataset()
    organization.DimensionOrganizationUID = uid
    ds.DimensionOrganizationSequence = [organization]
    items = []
    for keyword, group in pointers:
        item = Dataset()
        item.DimensionOrganizationUID = uid
        item.DimensionIndexPointer = Tag(tag_for_keyword(keyword))
        item.FunctionalGroupPointer = Tag(tag_for_keyword(group))
        items.append(item)
    ds.DimensionIndexSequence = items
