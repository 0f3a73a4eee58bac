"""The MRD header as the host hands it to the node: parsed, and put in order where needed."""

from __future__ import annotations

import copy
import logging
import typing
import warnings

import ismrmrd
from xsdata.exceptions import ParserError
from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.parsers.config import ParserConfig

from smug_recon.errors import HeaderError, StreamError
from smug_recon.gadgets.header.units import correct_units
from smug_recon.gadgets.wire.xml import refuse_entities
from smug_recon.replay.messages.mending import mend

log = logging.getLogger(__name__)


def parse_header(xml: bytes) -> tuple[ismrmrd.xsd.ismrmrdHeader, bytes]:
    """The parsed header and the bytes to send, as a Gadgetron parses and writes it anew; HeaderError if none.

    What ismrmrd's own parser refuses is put in order (``mending.py``), slips of unit are mended or reported
    (``gadgets/header/units.py``); each is said in the log.
    """
    xml = xml.rstrip(b"\0 \r\n\t")
    try:
        refuse_entities(xml, "an MRD header")
    except StreamError as error:
        raise HeaderError(
            error.found, error.expected, "remove the <!DOCTYPE>, or flatten the document"
        ) from None
    header, xml = _parsed(xml)
    mended, slips = correct_units(header)
    for slip in slips:
        log.warning("the MRD header: %s", slip)
    return (header, xml) if mended is header else (mended, _written(mended))


def for_the_node(header: ismrmrd.xsd.ismrmrdHeader, xml: bytes) -> bytes:
    """The header to send: ``xml``, but without values of a wrong type that tell of the patient or the study.

    ``python -m gadgetron`` parses it before any code of ours runs, and its parser quotes such values in the log.
    """
    made, found = copy.deepcopy(header), False
    for part in (made.subjectInformation, made.studyInformation, made.measurementInformation):
        for name, hint in typing.get_type_hints(type(part)).items() if part is not None else ():
            if isinstance(getattr(part, name), str) and str not in (hint, *typing.get_args(hint)):
                setattr(part, name, None)
                found = True
    return _written(made) if found else xml


def _parsed(xml: bytes) -> tuple[ismrmrd.xsd.ismrmrdHeader, bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return _is_mrd(ismrmrd.xsd.CreateFromDocument(xml), xml), xml
        except Exception as strict:
            reason = _reason(strict)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # a value of the wrong type: kept as text, the check of the header speaks up
        try:
            clean, notes = mend(xml)
        except ValueError as error:
            raise _unreadable(str(error)) from None
        try:
            parser = XmlParser(config=ParserConfig(fail_on_unknown_properties=False))
            header = parser.from_bytes(clean, ismrmrd.xsd.ismrmrdHeader)
            again = _written(header)
            ismrmrd.xsd.CreateFromDocument(again)
        except (ParserError, TypeError, ValueError, AttributeError):
            raise _unreadable(reason) from None
    log.warning("the MRD header was put in order: %s", "; ".join(dict.fromkeys(notes)) or reason)
    return header, again


def _reason(error: Exception) -> str:
    """What is wrong, without the value: it may be the name or the birth date of the patient."""
    lines = str(error).splitlines()
    return lines[0].strip() if lines else type(error).__name__


def _unreadable(reason: str) -> HeaderError:
    return HeaderError(
        f"a header that cannot be read ({reason})",
        "the MRD header, XML with the root ismrmrdHeader",
        "convert the raw file again with a current converter",
    )


def _written(header: ismrmrd.xsd.ismrmrdHeader) -> bytes:
    return bytes(ismrmrd.xsd.ToXML(header, encoding="utf-8").encode())


def _is_mrd(header: ismrmrd.xsd.ismrmrdHeader, xml: bytes) -> ismrmrd.xsd.ismrmrdHeader:
    """Return the header if the XML has the root of one: ismrmrd 1.14 reads any XML as an empty header."""
    if b"ismrmrdHeader" not in xml:
        raise ValueError("the root element is not ismrmrdHeader")
    return header
