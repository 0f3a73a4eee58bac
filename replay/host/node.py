"""The reconstruction node as a second process, started the way Gadgetron's ``<execute>`` does it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from smug_recon.errors import StreamError

CONNECT_S = 120.0
"""Longest wait for the node to start and to call back, in seconds."""
TAIL_LINES = 12


class Node:
    """Start ``python -m gadgetron PORT MODULE TARGET``, accept its call, and never leave it behind."""

    def __init__(
        self,
        log: Path,
        module: str = "smug_recon.gadgets",
        target: str = "reconstruct",
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] | None = None,
        connect_s: float = CONNECT_S,
    ) -> None:
        self.log = log
        with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
            port = str(listener.getsockname()[1])
            words = [*(command or (sys.executable, "-m", "gadgetron")), port, module, target]
            defaults = {
                "GADGETRON_EXTERNAL_LOG_LEVEL": "INFO",
                "PYTHONSAFEPATH": "1",
            }  # no code of this folder
            with log.open("wb") as output:
                self.process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**defaults, **os.environ, **(environment or {})},
                    start_new_session=True,  # Ctrl-C reaches the host alone; the host then stops the node
                )
            try:
                self.socket = self._accept(listener, connect_s)
            except BaseException:
                self.stop()
                raise

    def __enter__(self) -> Node:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _accept(self, listener: socket.socket, connect_s: float) -> socket.socket:
        listener.settimeout(0.1)
        limit = time.monotonic() + connect_s
        while time.monotonic() < limit:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                if self.process.poll() is not None:
                    raise self.death("before it connected") from None
                continue
            connection.settimeout(None)
            return connection
        raise StreamError(
            f"no call from the node within {connect_s:.0f} s",
            "a connection to the port it was given",
            self.hint(),
        )

    def death(self, when: str) -> StreamError:
        """The error that tells how the node ended, with the last lines of its log."""
        code = self.wait(10.0)
        if code is None:
            how = "the node closed its connection"
        elif code < 0:
            how = f"the node was killed by {signal.Signals(-code).name}"
        else:
            how = f"the node ended with exit code {code}"
        return StreamError(f"{how} {when}", "images and an end mark (id 4)", self.hint())

    def wait(self, seconds: float) -> int | None:
        """The exit code once the process has ended, None if it is still running after ``seconds``."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """Close the connection and end the process: gently, then not."""
        if hasattr(self, "socket"):
            self.socket.close()
        if self.process.poll() is None:
            self.process.terminate()
            if self.wait(3.0) is None:
                self.process.kill()
                self.process.wait()

    def hint(self) -> str:
        """Where to read on, with the last lines of the log."""
        lines = self.log.read_text(errors="replace").rstrip().splitlines()
        tail = "\n  ".join(lines[-TAIL_LINES:])
        return f"read {self.log}" + (f", which ends with\n  {tail}" if tail else ", which is empty")
