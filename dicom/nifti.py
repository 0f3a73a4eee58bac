"""Series as NIfTI-1 files with the affine of the scanner (https://nifti.nimh.nih.gov/nifti-1), by nibabel."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np

from smug_recon import __version__
from smug_recon.dicom.attributes import sequence_value
from smug_recon.dicom.kinds import MAGNITUDE, PHASE, by_network, meta_text
from smug_recon.dicom.provenance import model, pixel_bandwidth_hz
from smug_recon.dicom.series import check_components, first_number
from smug_recon.dicom.stacks import Frame, Series, series_of
from smug_recon.errors import ConfigurationError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SECONDS = {"TR": "RepetitionTime", "TE": "EchoTime", "TI": "InversionTime"}
"""Names of the BIDS sidecar; its times are in seconds."""


def write_nifti(
    images: Iterable[ismrmrd.Image],
    header: ismrmrd.xsd.ismrmrdHeader,
    folder: Path,
    components: Sequence[str] = (MAGNITUDE, PHASE),
) -> list[Path]:
    """Write every series and echo as ``SERIES_eN.nii.gz`` (column, row, slice, time) with a JSON sidecar.

    Voxel (i, j, k) lies at ``A (i, j, k, 1)``, A in mm, right-anterior-superior. Values are those of the images
    (phase in radian), without the integer coding of DICOM. Planes that make no regular stack, as those of a localiser,
    become files of their own, ``_sN``. Neither patient nor date is written.

    Raises:
        ConfigurationError: nibabel is not installed, unknown component. DataError: no field of view.
    """
    nibabel = _nibabel()
    check_components(components)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for series in series_of(images, components, first_number(header)):
        for stem, frames in stacks(series):
            data = _block(frames)
            image = nibabel.Nifti1Image(data, affine(frames, series.spacing_mm))
            image.set_qform(image.affine, 1)
            image.set_sform(image.affine, 1)
            image.header.set_xyzt_units("mm", "sec")
            if data.ndim == 4 and series.resolution_ms is not None:
                image.header["pixdim"][4] = series.resolution_ms / 1000
            image.header["descrip"] = f"smug-recon {__version__} {series.kind.role}"[:79].encode()
            path = folder / f"{stem}.nii.gz"
            unfinished = folder / f"{stem}.incomplete.nii.gz"
            nibabel.save(image, unfinished)
            unfinished.replace(path)
            path.with_name(f"{stem}.json").write_text(
                json.dumps(sidecar(series, frames[0], header), indent=2) + "\n"
            )
            written.append(path)
    return written


def stacks(series: Series) -> Iterable[tuple[str, list[Frame]]]:
    """Yield file stem and frames (time by time, slices in order) of every echo."""
    for echo in series.echoes:
        frames = [frame for frame in series.frames if frame.contrast == echo]
        stem = f"{series.number:05d}" + (f"_e{echo + 1}" if len(series.echoes) > 1 else "")
        whole = len(frames) == series.places * len(series.times)
        if whole and (series.places == 1 or series.spacing_mm is not None):
            yield stem, frames
            continue
        for place in sorted({frame.place for frame in frames}):
            yield f"{stem}_s{place + 1}", [frame for frame in frames if frame.place == place]


def affine(frames: Sequence[Frame], spacing_mm: float | None) -> np.ndarray:
    """Return the 4 x 4 matrix from (column, row, slice) to right-anterior-superior mm; slices follow the normal."""
    first = frames[0].where
    normal = np.cross(first.along_row, first.along_column)
    several = len({frame.place for frame in frames}) > 1
    matrix = np.eye(4)
    matrix[:3, 0] = first.along_row * first.column_mm
    matrix[:3, 1] = first.along_column * first.row_mm
    matrix[:3, 2] = normal * (spacing_mm if several and spacing_mm else first.thickness_mm)
    matrix[:3, 3] = first.first_mm
    return LPS_TO_RAS @ matrix


def sidecar(series: Series, frame: Frame, header: ismrmrd.xsd.ismrmrdHeader) -> dict[str, Any]:
    """Return what BIDS calls the sequence, and how the image came about."""
    found: dict[str, Any] = {"Modality": "MR", "SeriesNumber": series.number}
    found["ImageType"] = series.kind.image_type + (["AI"] if by_network(frame.image) else [])
    for name, keyword in SECONDS.items():
        if (value := sequence_value(header, name, frame.contrast)) is not None:
            found[keyword] = float(value) / 1000
    if (flip := sequence_value(header, "flipAngle_deg", frame.contrast)) is not None:
        found["FlipAngle"] = float(flip)
    if (bandwidth_hz := pixel_bandwidth_hz(frame.image)) is not None:
        found["PixelBandwidth"] = bandwidth_hz
    system = header.acquisitionSystemInformation
    if system and system.systemFieldStrength_T:
        found["MagneticFieldStrength"] = float(system.systemFieldStrength_T)
    if system and system.systemVendor:
        found["Manufacturer"] = system.systemVendor
    if series.trigger_ms:
        found["TriggerDelayTimes"] = [delay / 1000 for delay in series.trigger_ms.values()]
    found["ConversionSoftware"], found["ConversionSoftwareVersion"] = "smug-recon", __version__
    if by_network(frame.image):
        found["ReconstructionModel"] = model(frame.image)
    if history := meta_text(frame.image, "ImageProcessingHistory"):
        found["ReconstructionMethod"] = history
    return found


def _block(frames: Sequence[Frame]) -> np.ndarray:
    """Return (column, row, slice) or (column, row, slice, time)."""
    times = sorted({frame.time for frame in frames})
    block_tzyx = np.stack([frame.values_yx for frame in frames])
    block_tzyx = block_tzyx.reshape(len(times), -1, *block_tzyx.shape[1:])
    if block_tzyx.dtype.kind == "f":
        block_tzyx = block_tzyx.astype(np.float32)
    block_xyzt = block_tzyx.transpose(3, 2, 1, 0)
    return np.ascontiguousarray(block_xyzt[..., 0] if len(times) == 1 else block_xyzt)


def _nibabel() -> Any:
    try:
        import nibabel
    except ImportError:
        raise ConfigurationError(
            "no nibabel", "nibabel for NIfTI files", "install it: pip install 'smug-recon[nifti]'"
        ) from None
    return nibabel
