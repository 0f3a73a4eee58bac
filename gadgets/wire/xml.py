"""XML from a peer, read without entities: a document type, and nesting without end, are refused unread."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from xml.parsers import expat

from smug_recon.errors import StreamError

DEEPEST = 64
"""No element of a Gadgetron configuration or an MRD header lies deeper."""


def refuse_entities(xml: bytes, what: str) -> None:
    """StreamError for a document type declaration (entities live there) and for elements nested too deeply.

    What is no XML for other reasons passes: its reader says so with a better message.
    """
    if b"<!DOCTYPE" in (plain := xml.replace(b"\0", b"").upper()) or b"<!ENTITY" in plain:
        raise _entities(what)
    parser, depth = expat.ParserCreate(), 0

    def doctype(*_: object) -> None:
        raise _entities(what)

    def start(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise StreamError(
                f"{what} with elements nested more than {DEEPEST} deep", "a flat document", "check the host"
            )

    def end(*_: object) -> None:
        nonlocal depth
        depth -= 1

    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, ValueError, LookupError):
        return


def parse(xml: bytes, what: str) -> ET.Element:
    """The root element; StreamError for entities and for what is no XML."""
    refuse_entities(xml, what)
    try:
        return ET.fromstring(xml)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise StreamError(
            f"{what} that is no XML ({error})", "well-formed XML", "mend it on the host"
        ) from None


def _entities(what: str) -> StreamError:
    return StreamError(
        f"{what} with a document type or entities", "XML without them", "remove the <!DOCTYPE> on the host"
    )
