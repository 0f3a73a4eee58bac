"""A minimal parent: speaks the Gadgetron protocol to a node as the server does; can lie, stall and die."""

from __future__ import annotations

import io
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
from gadgetron.external import Connection

HERE = Path(__file__).parent
CONFIG_XML = b'<configuration><property name="images.type" value="float32"/></configuration>'
HEADER_XML = b"""<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><experimentalConditions><H1resonanceFrequency_Hz>123000000
</H1resonanceFrequency_Hz></experimentalConditions><encoding><trajectory>cartesian</trajectory><encodedSpace>
<matrixSize><x>16</x><y>8</y><z>1</z></matrixSize><fieldOfView_mm><x>300</x><y>300</y><z>5</z></fieldOfView_mm>
</encodedSpace><reconSpace><matrixSize><x>8</x><y>8</y><z>1</z></matrixSize><fieldOfView_mm><x>150</x><y>150</y>
<z>5</z></fieldOfView_mm></reconSpace><encodingLimits/></encoding></ismrmrdHeader>"""

CLOSE = struct.pack("<H", 4)


def message(identifier: int, payload: bytes = b"", length: str = "") -> bytes:
    """One message; ``length`` is the struct format of its length field ('I', 'Q' or none)."""
    prefix = struct.pack("<" + length, len(payload)) if length else b""
    return struct.pack("<H", identifier) + prefix + payload


def handshake(config: bytes = CONFIG_XML, header: bytes = HEADER_XML) -> bytes:
    return message(2, config, "I") + message(3, header, "I")


def packed(item: Any) -> bytes:
    """An acquisition, waveform or image as one message, by ismrmrd alone."""
    identifier = {ismrmrd.Acquisition: 1008, ismrmrd.Image: 1022, ismrmrd.Waveform: 1026}[type(item)]
    return message(identifier, item.to_bytes())


def acquisition(
    line: int = 0, channels: int = 2, samples: int = 8, trajectory: int = 0
) -> ismrmrd.Acquisition:
    random = np.random.default_rng(line)
    data = random.standard_normal((channels, 2 * samples)).astype(np.float32).view(np.complex64)
    points = random.standard_normal((samples, trajectory)).astype(np.float32)
    item = ismrmrd.Acquisition.from_array(data, points)
    item.idx.kspace_encode_step_1 = line
    item.scan_counter = line
    return item


def waveform(number: int = 0) -> ismrmrd.Waveform:
    data = np.arange(number, number + 12, dtype=np.uint32).reshape(3, 4)
    return ismrmrd.Waveform.from_array(data, waveform_id=number)


def image(number: int = 0, dtype: Any = np.float32) -> ismrmrd.Image:
    pixels = (np.arange(30).reshape(1, 1, 5, 6) + number).astype(dtype)
    head = ismrmrd.ImageHeader()
    head.image_index = number
    return ismrmrd.Image(head, data=pixels, meta=ismrmrd.Meta({"DataRole": "Image", "Name": "Große Probe"}))


@dataclass
class Answer:
    """What a node sent: items, ERROR text if any, and its end: 'close', 'end of stream', 'cut', 'reset'."""

    items: list[Any] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    error: str | None = None
    ending: str = ""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def dialled(port: int, attempts: int = 400) -> socket.socket:
    """A connection to a server on loopback that may not be up yet."""
    for _ in range(attempts):
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            threading.Event().wait(0.02)
    raise AssertionError(f"nothing listens on port {port}")


def read_answer(connected: socket.socket, timeout: float = 30.0) -> Answer:
    """Read a node's messages to the end of the stream, by ismrmrd alone."""
    connected.settimeout(timeout)
    answer = Answer()
    taken = io.BytesIO()

    def read(count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = connected.recv(min(count - len(data), 1 << 20))
            if not part:
                raise EOFError(len(data))
            data += part
        taken.write(data)
        return data

    kinds = {1008: ismrmrd.Acquisition, 1022: ismrmrd.Image, 1026: ismrmrd.Waveform}
    try:
        while True:
            taken.seek(0)
            taken.truncate()
            identifier = struct.unpack("<H", read(2))[0]
            if identifier == 4:
                assert answer.error is None, "a close message after an error"
                answer.ending = "close"
                assert connected.recv(1) == b"", "bytes after the close message"
                return answer
            if identifier == 8:
                answer.error = read(struct.unpack("<Q", read(8))[0]).decode()
            else:
                answer.items.append(kinds[identifier].deserialize_from(read))
                answer.raw.append(taken.getvalue())
    except EOFError as end:
        answer.ending = "end of stream" if end.args == (0,) and not taken.getvalue() else "cut"
    except ConnectionResetError:
        answer.ending = "reset"
    return answer


class Node:
    """A target running on the far end of a socket pair, in a thread, behind the stock Connection."""

    def __init__(self, target: Callable[[Connection], Any]) -> None:
        self.host, far = socket.socketpair()
        self.error: BaseException | None = None
        self.connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, args=(far, target), daemon=True)
        self._thread.start()

    def _run(self, far: socket.socket, target: Callable[[Connection], Any]) -> None:
        try:
            with Connection(far) as connection:
                self.connection = connection
                target(connection)
        except BaseException as error:
            self.error = error

    def finish(self, timeout: float = 20.0) -> None:
        """Wait for the node to end; it must."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the node hangs"

    def talk(self, data: bytes | Iterable[bytes], half_close: bool = True) -> Answer:
        """Send the bytes while reading the answer, then end our half of the stream; wait for the node."""

        def send() -> None:
            try:
                for part in [data] if isinstance(data, bytes) else data:
                    self.host.sendall(part)
                if half_close:
                    self.host.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        answer = read_answer(self.host)
        self.host.close()
        self.finish()
        sender.join(5)
        return answer


class Process:
    """``python -m gadgetron PORT MODULE TARGET`` dialling us, as Gadgetron's ``<execute>`` starts it."""

    def __init__(self, target: str, module: str = "targets", **environment: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(60)
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gadgetron", str(server.getsockname()[1]), module, target],
                env={**os.environ, "PYTHONPATH": str(HERE), **environment},
                stderr=subprocess.PIPE,
            )
            self.host, _ = server.accept()

    def exit_code(self, timeout: float = 60.0) -> int:
        """Wait for the process; it must end."""
        try:
            self.log = self.process.communicate(timeout=timeout)[1].decode()
            return self.process.returncode
        finally:
            self.process.kill()
            self.host.close()
