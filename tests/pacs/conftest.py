"""Servers that images are sent to: DCMTK's storescp, Orthanc, and one of our own that fails by plan; files to send."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pynetdicom", reason="pynetdicom not found: pip install 'smug-recon[pacs]'")
# dicom_scans, hosts, small_scan
sys.path.extend(str(Path(__file__).parents[1] / room) for room in ("dicom", "scanner", "gadgets"))

from dicom_scans import KINDS, header, scan
from failing_peer import FailingPeer
from pacs_programs import free_port, installed, wait_for_port

from smug_recon.dicom import write_dicom
from smug_recon.pacs import Destination


@pytest.fixture(autouse=True, scope="module")
def no_sockets_left() -> Iterator[None]:
    """pynetdicom 3.0.4 leaves the socket of a refused connection to the garbage collector (transport.py, connect):
    collected here, where ``UNCLOSED`` of the modules lets it pass, and not in the test of another room."""
    yield
    gc.collect()


@pytest.fixture
def programs() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start programs; they are ended after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: object, **options: Any) -> subprocess.Popen[bytes]:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started.append(subprocess.Popen([str(part) for part in command], **{**quiet, **options}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(10)


@pytest.fixture
def storescp(programs, tmp_path) -> Callable[..., tuple[int, Path]]:
    """Start DCMTK's storescp with options; its port, and the folder with what it received."""

    def start(*options: object, port: int | None = None) -> tuple[int, Path]:
        program = installed("storescp", "dcmtk")
        port, folder = port or free_port(), tmp_path / "received"
        folder.mkdir(exist_ok=True)
        process = programs(program, "--ignore", *options, port) if "--ignore" in options else None
        process = process or programs(program, *options, "-od", folder, port)
        wait_for_port(port, process)
        return port, folder

    return start


@pytest.fixture
def orthanc(programs, tmp_path) -> Callable[..., Any]:
    """Start Orthanc; a function that gets a path of its REST interface, with ``dicom`` as its DICOM port."""

    def start(report_port: int | None = None, tls: bool = False, **settings: Any) -> Any:
        program = installed("Orthanc", "orthanc")
        dicom, http = free_port(), free_port()
        folder = tmp_path / "orthanc"
        folder.mkdir()
        modalities = {}
        if report_port:
            modalities["smug"] = {
                "AET": "SMUGRECON",
                "Host": "127.0.0.1",
                "Port": report_port,
                "UseDicomTls": tls,
            }
        chosen = {
            "StorageDirectory": str(folder),
            "IndexDirectory": str(folder),
            "DicomPort": dicom,
            "HttpPort": http,
            "DicomAet": "ORTHANC",
            "DicomCheckCalledAet": True,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomModalities": modalities,
            "Plugins": [],
            **settings,
        }
        (folder / "orthanc.json").write_text(json.dumps(chosen))
        process = programs(program, folder / "orthanc.json")
        wait_for_port(http, process)
        wait_for_port(dicom, process)

        def get(path: str) -> Any:
            with urllib.request.urlopen(f"http://127.0.0.1:{http}{path}", timeout=30) as answer:
                return json.load(answer)

        get.dicom = dicom  # type: ignore[attr-defined]
        return get

    return start


@pytest.fixture
def failing() -> Iterator[Callable[..., FailingPeer]]:
    """Start a peer in this process that stores, refuses and aborts by plan."""
    started: list[FailingPeer] = []

    def start(*arguments: Any, **options: Any) -> FailingPeer:
        started.append(FailingPeer(*arguments, **options))
        return started[-1]

    yield start
    for peer in started:
        peer.close()


@pytest.fixture(scope="session")
def studies(tmp_path_factory) -> dict[str, list[Path]]:
    """DICOM files as the chain's images become: slices, an Enhanced cine, and many small ones."""
    folder = tmp_path_factory.mktemp("studies")
    return {
        "slices": write_dicom(scan(), header(), folder / "slices"),
        "enhanced": write_dicom(KINDS["cine"](), header(), folder / "enhanced", multiframe=True),
        "many": write_dicom(scan(slices=3, repetitions=4), header(), folder / "many"),
    }


@pytest.fixture
def destination(tmp_path) -> Callable[..., Destination]:
    """A destination on this machine with short pauses and a queue of its own."""

    def make(port: int, called: str = "ORTHANC", **settings: Any) -> Destination:
        chosen = {
            "to": f"{called}@127.0.0.1:{port}",
            "queue": tmp_path / "queue",
            "timeout_s": 20.0,
            "first_pause_s": 0.005,
            "longest_pause_s": 0.05,
            "attempts": 100,
        }
        return Destination(**{**chosen, **settings})

    return make
