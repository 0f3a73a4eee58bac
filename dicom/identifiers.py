"""Unique identifiers under 2.25., derived from content: equal images get equal UIDs, others get others."""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import Any

import ismrmrd

VALID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


def derived_uid(*parts: bytes | str) -> str:
    """A UID of the form 2.25.<UUID as decimal> (PS3.5 B.2) from a SHA-256 over the parts."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return f"2.25.{uuid.UUID(bytes=digest.digest()[:16], version=5).int}"


def usable_uid(found: str | None) -> str | None:
    """A UID from a header if it is a valid one (PS3.5 section 9: at most 64 characters), else None."""
    text = (found or "").strip()
    return text if len(text) <= 64 and VALID.fullmatch(text) else None


def study_uid(header: ismrmrd.xsd.ismrmrdHeader) -> str:
    """The header's StudyInstanceUID, else one derived from what names the study.

    Patient, date and time (or study ID or accession number) name it; without them the frame of reference does, which
    the scans of one positioning of the patient share; without that the measurement is a study of its own.
    """
    if found := usable_uid(_get(header.studyInformation, "studyInstanceUID")):
        return found
    subject, study = header.subjectInformation, header.studyInformation
    if (
        _get(subject, "patientID")
        and _get(study, "studyDate")
        and any(_get(study, name) for name in ("studyTime", "studyID", "accessionNumber"))
    ):
        return derived_uid("study", str(subject), str(study))
    if frame := usable_uid(_get(header.measurementInformation, "frameOfReferenceUID")):
        return derived_uid("study", str(subject), str(study), frame)
    return derived_uid("study", str(subject), str(study), str(header.measurementInformation))


def frame_of_reference_uid(header: ismrmrd.xsd.ismrmrdHeader) -> str:
    """The header's FrameOfReferenceUID, else one for the study."""
    found = usable_uid(_get(header.measurementInformation, "frameOfReferenceUID"))
    return found or derived_uid("frame of reference", study_uid(header))


def _get(part: Any, name: str) -> Any:
    return None if part is None else getattr(part, name, None)
