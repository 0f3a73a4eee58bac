"""MRD images as DICOM files: every kind of image a series of its own (PS3.3 A.4 and A.36)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import ismrmrd
from pydicom.dataset import Dataset

from smug_recon.dicom.classic import Context, classic
from smug_recon.dicom.enhanced import enhanced
from smug_recon.dicom.identifiers import derived_uid, study_uid
from smug_recon.dicom.kinds import COMPONENTS, MAGNITUDE, PHASE, Kind
from smug_recon.dicom.moments import moment
from smug_recon.dicom.privacy import anonymised, with_patient_id
from smug_recon.dicom.stacks import Frame, Series, series_of
from smug_recon.dicom.values import coding
from smug_recon.errors import ConfigurationError
from smug_recon.whole_file import whole_file

log = logging.getLogger(__name__)


def write_dicom(
    images: Iterable[ismrmrd.Image],
    header: ismrmrd.xsd.ismrmrdHeader,
    folder: Path,
    *,
    multiframe: bool = False,
    components: Sequence[str] = (MAGNITUDE, PHASE),
    anonymise: bool = False,
    patient_id: str | None = None,
) -> list[Path]:
    """Write all images of a scan to ``folder`` and return the files, series by series.

    Files ``SERIES_INSTANCE.dcm``: classic MR objects, one a plane, or with ``multiframe`` Enhanced MR objects, one for
    every echo and repetition, with slices and cardiac phases as frames.
    ``components`` of complex images become series of their own. Rows and columns stay as they are in the image;
    position and orientation say where they lie. A file has its name only when it is complete.

    Raises:
        ConfigurationError: an unknown component. DataError: an image without a field of view, or not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for series, ds in datasets(images, header, multiframe, components, anonymise, patient_id):
        path = folder / f"{series.number:05d}_{int(ds.InstanceNumber):05d}.dcm"
        with whole_file(path) as unfinished:
            ds.save_as(unfinished, enforce_file_format=True)
        written.append(path)
    return written


def datasets(
    images: Iterable[ismrmrd.Image],
    header: ismrmrd.xsd.ismrmrdHeader,
    multiframe: bool = False,
    components: Sequence[str] = (MAGNITUDE, PHASE),
    anonymise: bool = False,
    patient_id: str | None = None,
) -> Iterator[tuple[Series, Dataset]]:
    """Yield every DICOM object with its series; see :func:`write_dicom`."""
    check_components(components)
    if anonymise:
        header = anonymised(header, patient_id)
    elif patient_id is not None:
        header = with_patient_id(header, patient_id)
    if getattr(header.measurementInformation, "patientPosition", None) is None:
        log.warning("the MRD header gives no patient position; DICOM says HFS (head first, supine)")
    for series in series_of(images, components, first_number(header)):
        code = coding(series.kind.component, series.largest, series.integers, multiframe)
        uid = series_uid(header, series, multiframe)
        context = Context(header, series, uid, code, anonymise)
        if multiframe:
            for number, frames in enumerate(objects(series), start=1):
                yield series, enhanced(context, frames, number)
        else:
            for number, frame in enumerate(series.frames, start=1):
                yield series, classic(context, frame, number)


def objects(series: Series) -> list[list[Frame]]:
    """The frames of every Enhanced object: repetitions, sets and echoes apart, as Siemens XA scanners do.

    Converters that do not read the dimensions of an object (dcm2niix for most vendors) then see plain volumes.
    """
    found: dict[tuple[int, ...], list[Frame]] = {}
    for frame in series.frames:
        repetition, set_, _ = moment(frame.image)
        found.setdefault((repetition, set_, frame.contrast), []).append(frame)
    return list(found.values())


def series_uid(header: ismrmrd.xsd.ismrmrdHeader, series: Series, multiframe: bool) -> str:
    """The same for the same scan, images and options; another for anything else."""
    form = "enhanced" if multiframe else "classic"
    return derived_uid("series", study_uid(header), str(header), series.digest, named(series.kind), form)


def named(kind: Kind) -> str:
    """What tells the series of one scan apart, as text."""
    return f"{kind.index} {kind.component} {kind.fallback} {kind.uncertainty} {kind.role} {kind.shape_yx}"


def first_number(header: ismrmrd.xsd.ismrmrdHeader) -> int:
    """The scanner's number of the series, 1 if the header does not tell."""
    measurement = header.measurementInformation
    return int((measurement.initialSeriesNumber if measurement else None) or 1)


def check_components(components: Sequence[str]) -> None:
    """ConfigurationError for a component that there is not."""
    if not components or any(name not in COMPONENTS for name in components):
        raise ConfigurationError(
            f"the components {', '.join(components) or '(none)'}",
            f"some of {', '.join(COMPONENTS)}",
            "change --component",
        )
