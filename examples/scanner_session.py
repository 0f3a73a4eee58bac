"""A scanner's session: a scan is streamed to `smug-recon serve`, images and log lines come back while it runs.

What a FIRE / OpenRecon host sends: the name of a configuration (id 1), the MRD header (id 3), readouts (id 1008), the end (id 4).

usage: python examples/scanner_session.py
"""

import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import ismrmrd

from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import write_raw
from smug_recon.simulation.scan import simulate_scan

CONFIGURATION, HEADER, CLOSE, TEXT, ERROR, ACQUISITION, IMAGE = 1, 3, 4, 5, 8, 1008, 1022


def messages(raw: Path) -> Iterator[bytes]:
    """Return a raw file as the messages of a session."""
    with ismrmrd.File(raw, "r") as file:
        group = file["dataset"]
        header = group.header.toXML("utf-8").encode() + b"\0"
        yield struct.pack("<H1024s", CONFIGURATION, b"smug-cartesian")
        yield struct.pack("<HI", HEADER, len(header)) + header
        for readout in group.acquisitions:
            yield struct.pack("<H", ACQUISITION) + readout.to_bytes()
    yield struct.pack("<H", CLOSE)


def converse(port: int, raw: Path) -> int:
    """Send a scan, print what comes back, return the number of images."""
    host = socket.create_connection(("127.0.0.1", port))
    stream = host.makefile("rb")

    def send() -> None:
        for message in messages(raw):
            host.sendall(message)

    sender = threading.Thread(target=send)
    sender.start()
    images = 0
    while (identifier := struct.unpack("<H", stream.read(2))[0]) != CLOSE:
        if identifier == TEXT:
            text = stream.read(struct.unpack("<I", stream.read(4))[0])
            print("  server:", text.rstrip(b"\0").decode())
        elif identifier == ERROR:
            raise SystemExit(stream.read(struct.unpack("<Q", stream.read(8))[0]).decode())
        elif identifier == IMAGE:
            image = ismrmrd.Image.deserialize_from(stream.read)
            images += 1
            print(f"  image of slice {image.slice}, series {image.image_series_index}: {image.data.shape}")
    sender.join()
    host.close()
    return images


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.h5"
        write_raw(simulate_scan(ScanSettings(matrix_xy=(128, 96), coils=6, slices=2)), raw)
        server = subprocess.Popen(
            [sys.executable, "-m", "smug_recon", "serve", "--port", "0"], stderr=subprocess.PIPE, text=True
        )
        try:
            line = next(line for line in server.stderr if " port " in line)
            images = converse(int(line.split(" port ")[1].split()[0].rstrip(".,:;")), raw)
        finally:
            server.terminate()
            server.communicate()
    print(f"{images} images")


if __name__ == "__main__":
    main()
