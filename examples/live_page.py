"""Three scanners at once on the live page: simulated scans are streamed to `smug-recon serve --web` at the pace of a scan.

usage: python examples/live_page.py [PORT [MATRIX SLICES]]    with a PORT the page stays until Ctrl-C; look at http://127.0.0.1:PORT/
"""

import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from scanner_session import messages

from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import write_raw
from smug_recon.simulation.scan import simulate_scan

SCANS = ({"orientation": "axial", "contrast": "t1w"}, {"orientation": "sagittal", "contrast": "t2w"},
         {"orientation": "coronal", "contrast": "flair"})  # fmt: skip
READOUT_S = 0.02


def play(port: int, raw: Path) -> None:
    """Send a scan, a readout every 20 ms, and take whatever comes back, to the end."""
    with socket.create_connection(("127.0.0.1", port)) as host:

        def take() -> None:
            while host.recv(1 << 16):
                pass

        taker = threading.Thread(target=take)
        taker.start()
        for message in messages(raw):
            host.sendall(message)
            time.sleep(READOUT_S)
        taker.join()


def past(address: str) -> list[dict[str, Any]]:
    """Return the sessions that are over, once all three are: a server books a session after its host has gone."""
    limit = time.monotonic() + 30
    while True:
        with urllib.request.urlopen(f"{address}api/sessions") as answer:
            found = json.load(answer)["past"]
        if len(found) == len(SCANS) or time.monotonic() > limit:
            return sorted(found, key=lambda session: session["number"])
        time.sleep(0.1)


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    matrix, slices = (int(given) for given in sys.argv[2:4]) if len(sys.argv) > 3 else (64, 2)
    with tempfile.TemporaryDirectory() as folder:
        raws = []
        for seed, scan in enumerate(SCANS):
            raws.append(Path(folder) / f"raw{seed}.h5")
            settings = ScanSettings(
                matrix_xy=(matrix, matrix), coils=6, acceleration=3, acs=16, slices=slices, interleaved=False,
                seed=seed, **scan,
            )  # fmt: skip
            write_raw(simulate_scan(settings), raws[-1])
        command = [sys.executable, "-m", "smug_recon", "serve", "--port", "0", "--web", str(port)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            try:
                address = next(line for line in server.stderr if "live page on" in line).split()[-1]
                line = next(line for line in server.stderr if "waiting on" in line)
                print(f"look at {address}", flush=True)
                hosts = [threading.Thread(target=play, args=(int(line.split()[-1]), raw)) for raw in raws]
                [host.start() for host in hosts]
                [host.join() for host in hosts]
                for session in past(address):
                    print(
                        f"session {session['number']}: {session['outcome']}, {session['images']} images",
                        flush=True,
                    )
                if port:
                    server.stderr.read()  # until Ctrl-C
            except KeyboardInterrupt:
                pass
            finally:
                server.terminate()
                server.stderr.read()


if __name__ == "__main__":
    main()
