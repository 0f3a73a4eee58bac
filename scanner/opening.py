"""How a session begins: configuration, MRD header, perhaps parameters; and which kind of host that shows.

    FIRE / OpenRecon           id 1 (a name in 1024 bytes) or id 2 (a text); id 3; perhaps TEXT (id 5) with JSON
    gadgetron_ismrmrd_client   id 1 (NAME.xml) or id 2 (a whole Gadgetron XML); id 3
    Gadgetron <connect>        id 2 (the <configuration> of the node alone); id 3

FIRE ends its texts with NUL (python-ismrmrd-server, connection.py), the other two do not.
"""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from smug_recon.errors import HeaderError, StreamError
from smug_recon.gadgets.wire.protocol import CONFIG, HEADER, TEXT, uint32
from smug_recon.gadgets.wire.readers import read_text
from smug_recon.gadgets.wire.xml import parse, refuse_entities
from smug_recon.pipeline import DEFAULT_PIPELINE, Pipeline
from smug_recon.scanner.catalogue import Catalogue, parameters
from smug_recon.scanner.session_socket import SessionSocket

if TYPE_CHECKING:
    import ismrmrd

log = logging.getLogger(__name__)

FIRE, CLIENT, CONNECT = "FIRE", "gadgetron_ismrmrd_client", "Gadgetron connect"
CONFIG_FILE = 1
NAME_BYTES = 1024
LONGEST_CONFIG = 1 << 20
LONGEST_HEADER = 8 << 20
"""In bytes; longer ones are refused before they are read."""


@dataclass
class Opening:
    """What a host has said so far."""

    kind: str = FIRE
    name: str | None = None
    script: ET.Element | None = None
    header: ismrmrd.xsd.ismrmrdHeader | None = None
    overrides: dict[str, Any] = field(default_factory=dict)

    def pipeline(self, catalogue: Catalogue) -> Pipeline:
        """The pipeline asked for; ConfigurationError for what this server does not have."""
        if self.name is not None:
            return catalogue.pipeline(self.name, self.overrides)
        if self.kind == CONNECT:
            return catalogue.of_element(self.script, self.overrides)
        assert self.script is not None
        return catalogue.of_script(self.script, self.overrides)


def read_opening(wire: SessionSocket) -> Opening:
    """Read everything before the first item. Every silence is bounded as inside a message. StreamError, HeaderError."""
    opening = Opening()
    wire.patient = False
    read_config(wire, opening)
    _expect(wire, HEADER, "the MRD header (3)")
    text = _counted(wire, LONGEST_HEADER, "an MRD header")
    wire.end_message()
    if text.endswith(b"\0") and opening.kind == CLIENT:
        opening.kind = FIRE
    wire.texts = opening.kind != CONNECT
    opening.header = _parsed(text)
    wire.patient = True
    if opening.kind != CONNECT and wire.peek_message() == TEXT:
        wire.begin_message()
        chosen, opening.overrides = parameters(read_text(wire).rstrip("\0"))
        wire.end_message()
        opening.kind = FIRE
        if chosen is not None:
            opening.name, opening.script = chosen, None
    return opening


def read_config(wire: SessionSocket, opening: Opening) -> None:
    """Read the first message, id 1 or 2, and say in ``opening`` what it shows; StreamError."""
    identifier = wire.begin_message()
    if identifier == CONFIG_FILE:
        raw = wire.read(NAME_BYTES).split(b"\0", 1)[0]
        opening.kind = CLIENT if raw.endswith(b".xml") else FIRE
        opening.name = _name(raw)
        wire.texts = True
    elif identifier == CONFIG:
        raw = _counted(wire, LONGEST_CONFIG, "a configuration")
        stripped = (
            raw.split(b"\0", 1)[0]
            if raw.rstrip(b"\0")[:1] in (b"<", b"", b"{") or raw.endswith(b"\0")
            else raw
        )
        _understand(stripped, opening, raw.endswith(b"\0"))
        wire.texts = opening.kind != CONNECT
    else:
        raise StreamError(
            f"message identifier {identifier} at the beginning of a session",
            "a configuration name (1) or a configuration (2)",
            "dial this port from FIRE, gadgetron_ismrmrd_client or a Gadgetron <connect>",
        )
    wire.end_message()


def _understand(raw: bytes, opening: Opening, terminated: bool) -> None:
    """A configuration text: XML of Gadgetron, else the name of a configuration, or JSON parameters."""
    text = raw.strip()
    if not text.startswith((b"<", b"\xef\xbb\xbf<", b"\xff\xfe", b"\xfe\xff")):
        opening.kind = FIRE
        if text.startswith(b"{"):
            opening.name, opening.overrides = parameters(text.decode("utf-8", errors="replace"))
            opening.name = opening.name or DEFAULT_PIPELINE
        else:
            opening.name = _name(text)
        return
    if text.startswith(b"<?xml") and text.endswith(
        b"?>"
    ):  # Gadgetron's word for a node without configuration
        opening.kind, opening.script = CONNECT, None
        return
    root = parse(text, "a configuration")
    whole = any(_local(part) in ("stream", "version", "gadget", "readers") for part in root)
    opening.script = root
    if terminated:
        opening.kind = FIRE
    else:
        opening.kind = CLIENT if whole or _local(root) == "gadgetronStreamConfiguration" else CONNECT
    if opening.kind == FIRE and not whole:  # properties alone
        wrapped = ET.Element("configuration")
        node = ET.SubElement(wrapped, "external")
        ET.SubElement(node, "connect")
        node.append(root)
        opening.script = wrapped


def _parsed(text: bytes) -> ismrmrd.xsd.ismrmrdHeader:
    from smug_recon.replay.messages.header import parse_header

    text = text.split(b"\0", 1)[0] if text[:2] not in (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<") else text
    refuse_entities(text, "an MRD header")
    try:
        return parse_header(text)[0]
    except HeaderError:
        raise
    except Exception as error:
        raise HeaderError.unparsed(error) from None


def _expect(wire: SessionSocket, expected: int, what: str) -> None:
    identifier = wire.begin_message()
    if identifier != expected:
        raise StreamError(f"message identifier {identifier} after the configuration", what, "check the host")


def _counted(wire: SessionSocket, limit: int, what: str) -> bytes:
    length = uint32.unpack(wire.read(4))[0]
    if length > limit:
        raise StreamError(f"{what} of {length} bytes", f"at most {limit} bytes", "check the host")
    return wire.read(length)


def _name(raw: bytes) -> str:
    return "".join(
        letter if letter.isprintable() else "?" for letter in raw.decode("utf-8", errors="replace").strip()
    )


def _local(element: ET.Element) -> str:
    return element.tag.rsplit("}", 1)[-1] if isinstance(element.tag, str) else ""
