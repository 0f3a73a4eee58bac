"""Hosts written byte by byte: what FIRE, gadgetron_ismrmrd_client and a Gadgetron <connect> put on the wire."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Any

import ismrmrd
from small_scan import SmallScan, header_xml

CLOSE = struct.pack("<H", 4)
CLIENT_SCRIPT = b"""<?xml version="1.0"?><configuration><version>2</version><readers/><writers/><stream><external>
<execute name="smug_recon.gadgets" target="reconstruct" type="python"/><configuration>
<property name="images.type" value="float32"/><property name="prewhitened_upstream" value="true"/>
</configuration></external></stream></configuration>"""
CONNECT_CONFIG = b"""<configuration><property><name>images.type</name><value>float32</value></property>
<property name="pipeline" value="smug-cartesian"/></configuration>"""


def name(text: str) -> bytes:
    """Id 1: the name of a configuration in 1024 bytes."""
    return struct.pack("<H1024s", 1, text.encode())


def text(identifier: int, content: bytes, nul: bool = False) -> bytes:
    """Id 2, 3 or 5: uint32 length and bytes, FIRE's with a NUL at the end."""
    content += b"\0" if nul else b""
    return struct.pack("<HI", identifier, len(content)) + content


def scan(slices: int = 1) -> list[bytes]:
    """The readouts of a small scan, one message each."""
    made = SmallScan()
    made.add_noise_scan()
    for number in range(slices):
        made.add_slice(number)
    return [struct.pack("<H", 1008) + item.to_bytes() for item in made.readouts]


def fire(config: str = "smug-cartesian", parameters: dict[str, Any] | None = None, slices: int = 1) -> bytes:
    """What FIRE sends before the readouts."""
    start = name(config) + text(3, header_xml(slices=slices).encode(), nul=True)
    return start if parameters is None else start + text(5, json.dumps(parameters).encode(), nul=True)


def client(config: str | None = "Generic_Cartesian_SMUG.xml", slices: int = 1) -> bytes:
    """What gadgetron_ismrmrd_client sends before the readouts: -c with a name, -C with a file."""
    start = text(2, CLIENT_SCRIPT) if config is None else name(config)
    return start + text(3, header_xml(slices=slices).encode())


def connect(slices: int = 1) -> bytes:
    """What Gadgetron sends to a <connect> node before the readouts."""
    return text(2, CONNECT_CONFIG) + text(3, header_xml(slices=slices).encode())


@dataclass
class Heard:
    """What a server sent: images, TEXT lines, ERROR text, and how it ended (close, end, reset, cut)."""

    images: list[ismrmrd.Image] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    error: str | None = None
    ending: str = ""

    @property
    def complaint(self) -> str:
        """The error, whichever way it came."""
        return self.error or next((line for line in self.texts if line.startswith("ERROR")), "")


class HostEnd:
    """The far end of a session: sends while it reads."""

    def __init__(self, port: int, timeout: float = 40.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.heard = Heard()

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise EOFError(len(data))
            data += part
        return data

    def read_message(self) -> int:
        """Read one message into ``heard``; its identifier."""
        identifier = struct.unpack("<H", self.read(2))[0]
        if identifier == 5:
            content = self.read(struct.unpack("<I", self.read(4))[0])
            assert content.endswith(b"\0")
            self.heard.texts.append(content[:-1].decode())
        elif identifier == 8:
            self.heard.error = self.read(struct.unpack("<Q", self.read(8))[0]).decode()
        elif identifier == 1022:
            self.heard.images.append(ismrmrd.Image.deserialize_from(self.read))
        else:
            assert identifier == 4, identifier
        return int(identifier)

    def listen(self) -> Heard:
        """Read to the end."""
        try:
            while self.read_message() != 4:
                pass
            self.heard.ending = "close"
            assert self.socket.recv(1) == b""
        except EOFError as end:
            self.heard.ending = "end" if end.args == (0,) else "cut"
        except ConnectionError:
            self.heard.ending = "reset"
        finally:
            self.socket.close()
        return self.heard

    def talk(self, *parts: bytes) -> Heard:
        """Send everything from a second thread while reading; half close at the end, as a dying host does not."""

        def run() -> None:
            with contextlib.suppress(OSError):
                self.send(*parts)

        sender = threading.Thread(target=run, daemon=True)
        sender.start()
        heard = self.listen()
        sender.join(5)
        return heard


def session(port: int, start: bytes, slices: int = 1) -> Heard:
    """A whole session."""
    return HostEnd(port).talk(start, *scan(slices), CLOSE)
