"""One frame as MR Image Storage (PS3.3 A.4): an object for every plane."""

from __future__ import annotations

from dataclasses import dataclass

import ismrmrd
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from smug_recon import __version__
from smug_recon.dicom.attributes import decimal, fill_header
from smug_recon.dicom.geometry import Plane
from smug_recon.dicom.identifiers import derived_uid
from smug_recon.dicom.kinds import PHASE, by_network, meta_text
from smug_recon.dicom.moments import acquisition_time
from smug_recon.dicom.privacy import METHOD
from smug_recon.dicom.provenance import fill_provenance
from smug_recon.dicom.stacks import Frame, Series
from smug_recon.dicom.values import Coding, window


@dataclass(frozen=True)
class Context:
    """What the objects of a series have in common; ``anonymous`` says that the header names nobody."""

    header: ismrmrd.xsd.ismrmrdHeader
    series: Series
    series_uid: str
    code: Coding
    anonymous: bool = False


def base(context: Context, frame: Frame, storage: str, number: int) -> Dataset:
    """Return the attributes that classic and Enhanced objects share: identity, patient, study, series, origin."""
    series, image = context.series, frame.image
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = storage
    sop_uid = derived_uid("instance", context.series_uid, str(number))
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = sop_uid
    ds.file_meta.ImplementationVersionName = f"SMUGRECON {__version__}"[:16]
    ds.SpecificCharacterSet = "ISO_IR 192"
    fill_header(ds, context.header, frame.contrast)
    ds.Modality = "MR"
    ds.SeriesInstanceUID = context.series_uid
    ds.SeriesNumber, ds.InstanceNumber = series.number, number
    ds.SeriesDescription = description(context)
    ds.ImageType = series.kind.image_type + (["AI"] if by_network(image) else [])
    ds.BurnedInAnnotation, ds.LossyImageCompression = "NO", "00"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = frame.values_yx.shape
    ds.BitsAllocated, ds.BitsStored = 16, context.code.bits
    ds.HighBit, ds.PixelRepresentation = context.code.bits - 1, int(context.code.signed)
    ds.PresentationLUTShape = "IDENTITY"
    fill_provenance(ds, image, series.kind, context.code)
    if context.anonymous:
        ds.PatientIdentityRemoved, ds.DeidentificationMethod = "YES", METHOD
        ds.LongitudinalTemporalInformationModified = "REMOVED"
    return ds


def description(context: Context) -> str:
    """SeriesDescription; without the free text of the scan where nobody is to be named."""
    if not context.anonymous:
        return context.series.description
    kind = context.series.kind
    words = [kind.role or "SMUG", "FALLBACK" * kind.fallback, "uncertainty" * kind.uncertainty]
    words.append("" if kind.component == "magnitude" else kind.component)
    return " ".join(word for word in words if word)[:64]


def classic(context: Context, frame: Frame, number: int) -> Dataset:
    """Return the MR Image object of one frame."""
    series, image = context.series, frame.image
    ds = base(context, frame, MRImageStorage, number)
    ds.AcquisitionNumber = int(image.repetition) + 1
    if not context.anonymous and (time := acquisition_time(image)):
        ds.AcquisitionTime = time
    if len(series.times) > 1:
        ds.TemporalPositionIdentifier = frame.time + 1
        ds.NumberOfTemporalPositions = len(series.times)
        if series.resolution_ms is not None:
            ds.TemporalResolution = decimal(series.resolution_ms)
    if series.cine:
        ds.ScanOptions = "CG"
        found = series.trigger_ms.get(int(image.phase))
        ds.TriggerTime = None if found is None else decimal(found)
        ds.CardiacNumberOfImages = len({phase for _, _, phase in series.times})
    place(ds, frame.where, series.spacing_mm)
    if direction := phase_direction(image, frame.where):
        ds.InPlanePhaseEncodingDirection = direction
    pixels_yx = context.code.stored(frame.values_yx)
    centre, width = window(meta_window(image), context.code, pixels_yx)
    ds.WindowCenter, ds.WindowWidth = decimal(centre), decimal(width)
    if series.kind.component == PHASE:
        ds.WindowCenterWidthExplanation = "ONE TURN"
    ds.SmallestImagePixelValue, ds.LargestImagePixelValue = int(pixels_yx.min()), int(pixels_yx.max())
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue"):
        ds[keyword].VR = "SS" if context.code.signed else "US"
    ds.PixelData = pixels_yx.astype("<i2" if context.code.signed else "<u2").tobytes()
    return ds


def place(ds: Dataset, where: Plane, spacing_mm: float | None) -> None:
    """Set the Image Plane module (PS3.3 C.7.6.2)."""
    ds.PixelSpacing = [decimal(round(where.row_mm, 6)), decimal(round(where.column_mm, 6))]
    ds.SliceThickness = decimal(round(where.thickness_mm, 6))
    if spacing_mm is not None:
        ds.SpacingBetweenSlices = decimal(round(spacing_mm, 6))
    ds.ImagePositionPatient = position(where)
    ds.ImageOrientationPatient = orientation(where)
    ds.SliceLocation = decimal(round(where.location_mm, 6) + 0.0)


def position(where: Plane) -> list[str]:
    """Centre of the first voxel, in mm."""
    return [decimal(round(float(value), 6) + 0.0) for value in where.first_mm]


def orientation(where: Plane) -> list[str]:
    """Direction of a row, then of a column."""
    return [decimal(round(float(value), 10) + 0.0) for value in (*where.along_row, *where.along_column)]


def phase_direction(image: ismrmrd.Image, where: Plane) -> str:
    """COL if the phase was encoded along the columns of the pixels, ROW along the rows; empty if that is not known."""
    phase = np.array(image.phase_dir, float)
    if abs(phase @ where.along_column) > 0.99:
        return "COL"
    return "ROW" if abs(phase @ where.along_row) > 0.99 else ""


def meta_window(image: ismrmrd.Image) -> tuple[float, float] | None:
    """Window centre and width of the Meta, in units of the image."""
    try:
        return float(meta_text(image, "WindowCenter")), float(meta_text(image, "WindowWidth"))
    except ValueError:
        return None
