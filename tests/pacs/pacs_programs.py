"""Other programs: whether they are there, and when they are ready."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time

import pytest

PATIENCE_S = 60.0
UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
"""See ``no_sockets_left`` in conftest.py."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def installed(name: str, package: str) -> str:
    """The path of another program; the test skips where it is not installed."""
    if (path := shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin:/bin")) is None:
        pytest.skip(f"{name} not found: install Debian's {package}")
    return path


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        assert process.poll() is None, "the server ended at once"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("the server does not open its port")
