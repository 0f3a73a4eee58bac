"""Who the images are of: another patient ID, or nobody (after PS3.15 annex E, Basic Application Level Profile).

The MRD header is changed before anything is written, so whatever is made from it knows no more than it says. Nothing is
copied into DICOM but what ``attributes.py`` names: there is no private block where an identity could stay.
"""

from __future__ import annotations

import copy
import hashlib

import ismrmrd

from smug_recon.dicom.identifiers import derived_uid, frame_of_reference_uid, study_uid

METHOD = [
    "smug-recon --anonymise",
    "patient, dates, times, site, station, free text removed",
    "UIDs replaced, pixels as they were",
]


def with_patient_id(header: ismrmrd.xsd.ismrmrdHeader, patient_id: str) -> ismrmrd.xsd.ismrmrdHeader:
    """A copy of the header with another PatientID. The study stays the same."""
    made = copy.deepcopy(header)
    _keep_uids(made, study_uid(header), frame_of_reference_uid(header))
    if made.subjectInformation is None:
        made.subjectInformation = ismrmrd.xsd.subjectInformationType()
    made.subjectInformation.patientID = patient_id
    return made


def anonymised(header: ismrmrd.xsd.ismrmrdHeader, patient_id: str | None = None) -> ismrmrd.xsd.ismrmrdHeader:
    """A copy of the header that names nobody: no patient, dates, times, site, serial number, free text.

    Study and frame of reference get other UIDs, the same ones for the same study, so that series stay together; the
    patient is called ``patient_id``, or after the new study UID. What stays: sequence, geometry, field strength, coils.
    """
    study = derived_uid("anonymous", study_uid(header))
    frame = derived_uid("anonymous", frame_of_reference_uid(header))
    name = patient_id or "ANON-" + hashlib.sha256(study.encode()).hexdigest()[:12].upper()
    spoken = f"Anonymous^{name}"
    made = copy.deepcopy(header)
    made.subjectInformation = ismrmrd.xsd.subjectInformationType(patientName=spoken, patientID=name)
    part = made.studyInformation.bodyPartExamined if made.studyInformation else None
    made.studyInformation = ismrmrd.xsd.studyInformationType(bodyPartExamined=part)
    if measurement := made.measurementInformation:
        measurement.seriesDate = measurement.seriesTime = None
        measurement.protocolName = measurement.seriesDescription = None
        measurement.measurementID = measurement.seriesInstanceUIDRoot = None
        measurement.measurementDependency, measurement.referencedImageSequence = [], None
    if system := made.acquisitionSystemInformation:
        system.institutionName = system.stationName = None
        for name_ in ("deviceID", "deviceSerialNumber"):
            if hasattr(system, name_):
                setattr(system, name_, None)
    made.userParameters = None
    _keep_uids(made, study, frame)
    return made


def _keep_uids(header: ismrmrd.xsd.ismrmrdHeader, study: str, frame: str) -> None:
    if header.studyInformation is None:
        header.studyInformation = ismrmrd.xsd.studyInformationType()
    header.studyInformation.studyInstanceUID = study
    if header.measurementInformation is None:
        header.measurementInformation = ismrmrd.xsd.measurementInformationType(patientPosition=None)
    header.measurementInformation.frameOfReferenceUID = frame
