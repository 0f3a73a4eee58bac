"""MRD headers that no parser takes: what older converters and home-made ones do to the XML, put right.

Everything is done on the text or on the tree, so that the parser of ismrmrd has the last word.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

NAMESPACE = "http://www.ismrm.org/ISMRMRD"
POSITIONS = ("HFP", "HFS", "HFDR", "HFDL", "FFP", "FFS", "FFDR", "FFDL")
WHOLE_NUMBERS = frozenset(
    [
        *(f"matrixSize/{axis}" for axis in "xyz"),
        *(f"accelerationFactor/kspace_encoding_step_{step}" for step in "12"),
        *("minimum", "maximum", "center", "H1resonanceFrequency_Hz", "receiverChannels", "coilNumber"),
        *("echoTrainLength", "initialSeriesNumber"),
    ]
)
LOWER_CASE = frozenset(["trajectory", "calibrationMode", "interleavingDimension"])
HZ_PER_T = 42.577e6


def mend(xml: bytes) -> tuple[bytes, list[str]]:
    """The header as clean UTF-8 XML with what the schema requires, and a sentence for each thing put right.

    Raises:
        ValueError: no XML with the root ismrmrdHeader.
    """
    text, notes = _decoded(xml)
    text = _one_document(text, notes)
    try:
        root = ET.fromstring(text)
    except ET.ParseError:
        text = _without_illegal(text, notes)
        try:
            root = ET.fromstring(text)
        except ET.ParseError as error:
            raise ValueError(str(error)) from None
    if _name(root) != "ismrmrdHeader":
        raise ValueError(f"the root element {_name(root)!r} is not ismrmrdHeader")
    _in_namespace(root, notes)
    _values(root, notes)
    _required(root, notes)
    ET.register_namespace("", NAMESPACE)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True), notes


def _decoded(xml: bytes) -> tuple[str, list[str]]:
    """The text, its encoding found by mark, by declaration, or by trying: UTF-8, else Windows-1252."""
    xml = xml.strip(b"\0 \r\n\t")
    if xml.startswith((b"\xff\xfe", b"\xfe\xff")) or xml[1:2] == b"\0":
        coding = "utf-16" if xml[:1] in b"\xff\xfe" else "utf-16-le"
        xml += b"\0" * (len(xml) % 2)  # the last one may have been taken for padding
        return xml.decode(coding, errors="replace").lstrip("\ufeff"), ["UTF-16"]
    declared = re.match(
        rb"<\?xml[^>]*encoding=[\"']([A-Za-z0-9._-]+)[\"']", xml.removeprefix(b"\xef\xbb\xbf")
    )
    names = ["utf-8-sig", *([declared[1].decode()] if declared else []), "cp1252"]
    for name in names:
        try:
            text = xml.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
        return text, [] if name == names[0] else [f"text in {name}, not in UTF-8"]
    return xml.decode("latin-1"), ["text of an unknown encoding"]


def _one_document(text: str, notes: list[str]) -> str:
    """From the root element to its end; declarations before and anything behind it go."""
    start = re.search(r"<(?:\w+:)?ismrmrdHeader[\s>]", text)
    ends = list(re.finditer(r"</(?:\w+:)?ismrmrdHeader\s*>", text))
    if start is None or not ends:
        raise ValueError("no element ismrmrdHeader from start to end")
    if text[ends[0].end() :].strip("\0 \r\n\t"):
        notes.append("text behind the end of the header")
    return text[start.start() : ends[0].end()]


def _without_illegal(text: str, notes: list[str]) -> str:
    clean = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)
    clean = re.sub(r"&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01])|x0*(?:[0-8bcBC]|1[0-9a-fA-F]));", "", clean)
    if clean != text:
        notes.append("control characters")
    escaped = re.sub(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);)", "&amp;", clean)
    if escaped != clean:
        notes.append("an & that was not written as &amp;")
    return escaped


def _name(element: ET.Element) -> str:
    return element.tag.rsplit("}", 1)[-1]


def _in_namespace(root: ET.Element, notes: list[str]) -> None:
    if root.tag != f"{{{NAMESPACE}}}ismrmrdHeader":
        notes.append("no namespace, or another than that of ISMRMRD")
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = f"{{{NAMESPACE}}}{_name(element)}"


def _values(root: ET.Element, notes: list[str]) -> None:
    """Spaces around values, whole numbers written with a decimal point, words of the schema in capitals."""
    for parent in root.iter():
        for element in parent:
            name, text = _name(element), (element.text or "").strip()
            if len(element):
                continue
            if name in WHOLE_NUMBERS or f"{_name(parent)}/{name}" in WHOLE_NUMBERS:
                element.text = _whole(text)
                if element.text != text:
                    notes.append(f"{name} = {text!r}, which is no whole number")
            elif name in LOWER_CASE:
                element.text = text.lower()
            elif name == "patientPosition":
                element.text = text.upper()


def _whole(text: str) -> str:
    try:
        value = float(text)
        return str(int(value)) if value == int(value) else text
    except (ValueError, OverflowError):
        return text


def _required(root: ET.Element, notes: list[str]) -> None:
    """Elements that the schema requires and that say nothing about how the scan was encoded."""
    information = root.find(_tag("measurementInformation"))
    if information is not None:
        position = information.find(_tag("patientPosition"))
        if position is None or position.text not in POSITIONS:
            position = ET.SubElement(information, _tag("patientPosition")) if position is None else position
            notes.append(f"patientPosition {position.text!r}: HFS is taken")
            position.text = "HFS"
    conditions = root.find(_tag("experimentalConditions"))
    if conditions is None:
        conditions = ET.SubElement(root, _tag("experimentalConditions"))
    frequency = conditions.find(_tag("H1resonanceFrequency_Hz"))
    if frequency is None or not (frequency.text or "").strip():
        field = root.find(f"{_tag('acquisitionSystemInformation')}/{_tag('systemFieldStrength_T')}")
        hertz = _from_field(field)
        frequency = (
            ET.SubElement(conditions, _tag("H1resonanceFrequency_Hz")) if frequency is None else frequency
        )
        frequency.text = str(hertz)
        notes.append(
            "no H1resonanceFrequency_Hz: "
            + ("it is unknown" if hertz == 0 else "it is that of the field strength")
        )
    for encoding in root.iter(_tag("encoding")):
        if encoding.find(_tag("encodingLimits")) is None:
            ET.SubElement(encoding, _tag("encodingLimits"))
            notes.append("no encodingLimits: the counters of the readouts say how many there are")
    for factor in root.iter(_tag("accelerationFactor")):
        for step in ("kspace_encoding_step_1", "kspace_encoding_step_2"):
            if factor.find(_tag(step)) is None:
                ET.SubElement(factor, _tag(step)).text = "1"
                notes.append(f"no acceleration factor of {step}: 1 is taken")


def _from_field(element: ET.Element | None) -> int:
    try:
        return round(float((element.text or "") if element is not None else "") * HZ_PER_T)
    except (ValueError, OverflowError):
        return 0


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
