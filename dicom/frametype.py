"""ImageType and description of an Enhanced MR object, said once for all frames and once in their groups."""

from __future__ import annotations

from pydicom.dataset import Dataset

from smug_recon.dicom.classic import Context
from smug_recon.dicom.kinds import IMAGINARY, MAGNITUDE, PHASE, REAL

COMPLEX_COMPONENT = {MAGNITUDE: "MAGNITUDE", PHASE: "PHASE", REAL: "REAL", IMAGINARY: "IMAGINARY"}


def image_type(context: Context) -> list[str]:
    """Four values: DERIVED, PRIMARY, flavour, derived contrast (PS3.3 C.8.16.1); the AI shows in the description."""
    series = context.series
    flavour = "MULTIECHO" if len(series.echoes) > 1 else "VOLUME" if series.spacing_mm else "OTHER"
    return ["DERIVED", "PRIMARY", flavour, "STD_DEVIATION" if series.kind.uncertainty else "NONE"]


def describe(ds: Dataset, context: Context) -> None:
    """Set the common image description (PS3.3 C.8.13.3.1 and table C.8-84) of an object or of a frame type."""
    ds.PixelPresentation = "MONOCHROME"
    ds.VolumetricProperties = "VOLUME"
    ds.VolumeBasedCalculationTechnique = "NONE"
    ds.ComplexImageComponent = COMPLEX_COMPONENT[context.series.kind.component]
    ds.AcquisitionContrast = "UNKNOWN"
