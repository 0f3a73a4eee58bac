"""MRD headers with a marked value in every field that may tell who lies in the scanner, and ways to break them."""

from __future__ import annotations

import re
from collections.abc import Callable

MARK = re.compile(r"ZZMARK|1911-?03-?07|4711471147|71\.7171|1\.717171|23:47:53|234753")
"""Marked texts, birth date, accession number, weight, height, time."""
TITLE = re.compile("YYTITLE")
"""Protocol and series: on images and in the report of a scan, whose title it is, and nowhere else."""

SUBJECT = (
    "<subjectInformation><patientName>ZZMARK^Name</patientName><patientWeight_kg>71.7171</patientWeight_kg>"
    "<patientHeight_m>1.717171</patientHeight_m><patientID>ZZMARK-ID</patientID>"
    "<patientBirthdate>1911-03-07</patientBirthdate><patientGender>O</patientGender></subjectInformation>"
    "<studyInformation><studyDate>1911-03-07</studyDate><studyTime>23:47:53</studyTime><studyID>ZZMARKstudy</studyID>"
    "<accessionNumber>4711471147</accessionNumber><referringPhysicianName>ZZMARK^Doctor</referringPhysicianName>"
    "<studyDescription>ZZMARK study</studyDescription><studyInstanceUID>1.2.ZZMARK.3</studyInstanceUID></studyInformation>"
)
MEASUREMENT = (
    "<measurementInformation><measurementID>ZZMARKmeasurement</measurementID><seriesDate>1911-03-07</seriesDate>"
    "<seriesTime>23:47:53</seriesTime><patientPosition>HFS</patientPosition><protocolName>YYTITLEprotocol</protocolName>"
    "<sequenceName>gre</sequenceName><seriesDescription>YYTITLEseries</seriesDescription>"
    "<seriesInstanceUIDRoot>1.2.ZZMARK</seriesInstanceUIDRoot><frameOfReferenceUID>1.3.ZZMARK</frameOfReferenceUID>"
    "<referencedImageSequence><referencedSOPInstanceUID>1.4.ZZMARK</referencedSOPInstanceUID></referencedImageSequence>"
    "</measurementInformation>"
)
SYSTEM = (
    "<institutionName>ZZMARKinstitution</institutionName><stationName>ZZMARKstation</stationName>"
    "<deviceID>ZZMARKdevice</deviceID><deviceSerialNumber>ZZMARKserial</deviceSerialNumber>"
)
USER = (
    "<userParameters><userParameterString><name>PatientName</name><value>ZZMARK^Again</value></userParameterString>"
    "</userParameters>"
)


def identified(xml: str) -> bytes:
    """The header of a small scan with marked values in it."""
    xml = re.sub("<measurementInformation>.*</measurementInformation>", SUBJECT + MEASUREMENT, xml)
    xml = xml.replace("</receiverChannels>", f"</receiverChannels>{SYSTEM}", 1)
    return xml.replace("</ismrmrdHeader>", f"{USER}</ismrmrdHeader>").encode()


def _replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(xml: bytes) -> bytes:
        assert old in xml
        return xml.replace(old, new)

    return change


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "a birth date that is none": _replaced(
        b"<patientBirthdate>1911-03-07", b"<patientBirthdate>7. 3. ZZMARK"
    ),
    "a weight that is none": _replaced(b"<patientWeight_kg>71.7171", b"<patientWeight_kg>71.7171 ZZMARK"),
    "a number with letters": _replaced(b"<accessionNumber>", b"<accessionNumber>ZZMARK"),
    "a time that is none": _replaced(b"<studyTime>23:47:53", b"<studyTime>ZZMARK o'clock"),
    "an ampersand": _replaced(b"ZZMARK^Name", b"ZZMARK & ZZMARK"),
    "an element left open": _replaced(b"</patientName>", b""),
    "cut in the name": lambda xml: xml[: xml.index(b"ZZMARK^Name") + 6],
    "Latin letters": _replaced(b"ZZMARK^Name", "ZZMARK^Müller".encode("latin-1")),
    "an entity": lambda xml: b'<!DOCTYPE a [<!ENTITY b "ZZMARK">]>' + xml.split(b"?>", 1)[1],
    "no matrix": lambda xml: re.sub(b"<matrixSize>.*?</matrixSize>", b"", xml),
    "a spiral": _replaced(b"cartesian", b"spiral"),
}
