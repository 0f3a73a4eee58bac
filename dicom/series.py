"""A series of MRD magnitude images as DICOM MR Image Storage, one file per plane (PS3.3 A.4)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

import ismrmrd
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from smug_recon import __version__
from smug_recon.dicom.attributes import decimal, fill_header, study_uid
from smug_recon.dicom.geometry import Plane, plane
from smug_recon.dicom.identifiers import derived_uid

TICK_MS = 2.5
DAY_MS = 24 * 3600 * 1000

log = logging.getLogger(__name__)


def write_series(
    images: Iterable[ismrmrd.Image], header: ismrmrd.xsd.ismrmrdHeader, folder: Path
) -> list[Path]:
    """Write the uint16 magnitude images of one series to ``folder`` and return the files.

    Rows and columns stay as they are in the image; position and orientation say where they lie. Pixel values
    are written as they are: no rescale slope. Images of another type are left out, with a line in the log.
    """
    taken: list[ismrmrd.Image] = []
    for image in images:
        if image.data.dtype == np.uint16 and image.image_type in (0, ismrmrd.IMTYPE_MAGNITUDE):
            taken.append(image)
        else:
            log.warning("no DICOM for a %s image: only uint16 magnitude is written", image.data.dtype)
    if not taken:
        return []
    taken.sort(key=lambda image: int(image.image_index))  # stable: equal numbers stay in the order of arrival
    folder.mkdir(parents=True, exist_ok=True)
    content = hashlib.sha256(str(header).encode())
    for image in taken:
        content.update(image.to_bytes())
    series_uid = derived_uid("series", study_uid(header), content.digest())
    spacing_mm = slice_spacing_mm([plane(image) for image in taken])
    written: list[Path] = []
    for image in taken:
        for partition in range(image.data.shape[1]):
            ds = _dataset(image, partition, header, series_uid, len(written) + 1, spacing_mm)
            path = folder / f"{int(ds.SeriesNumber):05d}_{int(ds.InstanceNumber):05d}.dcm"
            unfinished = path.with_suffix(".incomplete")
            ds.save_as(unfinished, enforce_file_format=True)
            unfinished.replace(path)
            written.append(path)
    return written


def slice_spacing_mm(planes: list[Plane]) -> float | None:
    """Distance of neighbouring parallel planes, None for a single plane or where distances differ."""
    normal = planes[0].normal
    if any(abs(each.normal @ normal) < 0.999 for each in planes):
        return None
    places = np.unique(np.round([each.first_mm @ normal for each in planes], 3))
    steps = np.diff(places)
    return float(steps.mean()) if len(steps) and np.ptp(steps) < 0.01 * steps.mean() else None


def _dataset(
    image: ismrmrd.Image,
    partition: int,
    header: ismrmrd.xsd.ismrmrdHeader,
    series_uid: str,
    number: int,
    spacing_mm: float | None,
) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = MRImageStorage
    sop_uid = derived_uid("instance", series_uid, str(number))
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = sop_uid
    ds.SpecificCharacterSet = "ISO_IR 192"
    fill_header(ds, header, int(image.contrast))
    measurement = header.measurementInformation
    first_series = (measurement.initialSeriesNumber if measurement else None) or 1
    ds.Modality = "MR"
    ds.SeriesInstanceUID = series_uid
    ds.SeriesNumber = first_series * 100 + int(image.image_series_index)
    ds.SeriesDescription = _first(image, "SeriesDescription", "GADGETRON_SeriesDescription") or "SMUG"
    ds.InstanceNumber = number
    ds.AcquisitionNumber = int(image.repetition) + 1
    ds.ImageType = ["DERIVED", "PRIMARY", "M"]
    history = _first(image, "ImageProcessingHistory", "GADGETRON_ImageProcessingHistory")
    ds.DerivationDescription = f"smug-recon {__version__}: {history or 'reconstruction from raw data'}"[:1024]
    if comment := _first(image, "ImageComments", "ImageComment", "GADGETRON_ImageComment"):
        ds.ImageComments = comment[:10240]
    if time := acquisition_time(image):
        ds.AcquisitionTime = time
    _place(ds, plane(image, partition), spacing_mm or None)
    _pixels(ds, image, partition)
    return ds


def acquisition_time(image: ismrmrd.Image) -> str | None:
    """Time of day of an MRD time stamp, 2.5 ms ticks since midnight; None if it is no time of day.

    That is Siemens' clock, which the converters of other vendors' data follow as well where they set it.
    """
    ms = int(image.acquisition_time_stamp) * TICK_MS
    if not 0 < ms < DAY_MS:
        return None
    seconds, rest = divmod(round(ms * 1000), 1_000_000)
    return f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}.{rest:06d}"


def _place(ds: Dataset, where: Plane, spacing_mm: float | None) -> None:
    ds.PixelSpacing = [decimal(where.row_mm), decimal(where.column_mm)]
    ds.SliceThickness = decimal(where.thickness_mm)
    if spacing_mm is not None:
        ds.SpacingBetweenSlices = decimal(spacing_mm)
    ds.ImagePositionPatient = [decimal(round(value, 6) + 0.0) for value in where.first_mm]
    ds.ImageOrientationPatient = [
        decimal(round(value, 10) + 0.0) for value in (*where.along_row, *where.along_column)
    ]
    ds.SliceLocation = decimal(round(where.location_mm, 6) + 0.0)
    ds.InPlanePhaseEncodingDirection = "COL"


def _pixels(ds: Dataset, image: ismrmrd.Image, partition: int) -> None:
    pixels_yx = image.data[0, partition]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = pixels_yx.shape
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 0
    centre, width = _first(image, "WindowCenter"), _first(image, "WindowWidth")
    try:
        ds.WindowCenter, ds.WindowWidth = (
            decimal(float(centre or "x")),
            decimal(max(float(width or "x"), 1.0)),
        )
    except ValueError:
        high = max(float(np.percentile(pixels_yx, 99.5)), 2.0)
        ds.WindowCenter, ds.WindowWidth = decimal(high / 2), decimal(high)
    ds.PixelData = pixels_yx.astype("<u2").tobytes()


def _first(image: ismrmrd.Image, *names: str) -> str | None:
    """The first Meta entry found; several values are joined as steps."""
    for name in names:
        if value := image.meta.get(name):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            return text.replace("\\", "/").strip()
    return None
