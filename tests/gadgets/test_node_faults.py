"""The whole node behind a parent that dies, lies and stalls: the host hears why, and no half slice becomes an image."""

from __future__ import annotations

import threading
import time
from typing import Any

import ismrmrd
import parent
import pytest
from small_scan import header_xml, whole_scan

from smug_recon.gadgets import reconstruct
from smug_recon.gadgets.images.attributes import TIMING
from smug_recon.gadgets.wire.listen import listen


def scan_bytes(slices: int = 2) -> list[bytes]:
    """One message per readout, noise scan first, slice after slice."""
    return [parent.packed(readout) for readout in whole_scan(slices).readouts]


def opening(config: bytes = b"<configuration/>", trajectory: str = "cartesian", **options: Any) -> bytes:
    return parent.handshake(config, header_xml(**options).replace("cartesian", trajectory).encode())


READOUTS = scan_bytes()
HALF_A_LINE = READOUTS[1][:500]


@pytest.fixture(autouse=True)
def short_silences(monkeypatch):
    monkeypatch.setenv("SMUG_RECON_DRAIN_IDLE_SECONDS", "1")


@pytest.fixture
def quick_network(monkeypatch, conventional_model):
    """CG-SENSE in the place of the network: these tests are about the stream."""
    monkeypatch.setattr("smug_recon.gadgets.model.file.load_model", lambda *_: conventional_model)


def slices_of(answer: parent.Answer) -> list[int]:
    return [item.slice for item in answer.items if isinstance(item, ismrmrd.Image)]


@pytest.mark.usefixtures("quick_network")
@pytest.mark.parametrize(
    ("data", "complete"),
    [
        (READOUTS[:1], 0),
        (READOUTS[: len(READOUTS) // 3], 0),
        ([*READOUTS[: len(READOUTS) // 3], HALF_A_LINE], 0),
        ([*READOUTS[:-1]], 1),
        ([*READOUTS], 2),
    ],
    ids=[
        "after the noise scan",
        "in slice 0",
        "in a line of slice 0",
        "before the last line",
        "before the close",
    ],
)
def test_a_host_that_dies_gets_complete_slices_and_an_error(data, complete):
    node = parent.Node(reconstruct)
    answer = node.talk(opening(slices=2) + b"".join(data))
    assert "the end of the stream" in answer.error and answer.ending == "end of stream"
    assert slices_of(answer) == list(range(complete))
    assert str(node.error) in answer.error


def test_a_host_that_dies_before_the_model_is_there_gets_its_complete_slices(monkeypatch, conventional_model):
    def load_slowly(*_):
        time.sleep(1)
        return conventional_model

    monkeypatch.setattr("smug_recon.gadgets.model.file.load_model", load_slowly)
    answer = parent.Node(reconstruct).talk(opening(slices=2) + b"".join(READOUTS))
    assert "the end of the stream" in answer.error and slices_of(answer) == [0, 1]


@pytest.mark.usefixtures("quick_network")
@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (parent.message(1030, bytes(64)), "message identifier 1030"),
        (
            parent.message(
                1008, bytes(ismrmrd.AcquisitionHeader(number_of_samples=65535, active_channels=65535))
            ),
            "claims",
        ),
        (parent.message(8, b"table moved", "Q"), "an error of the host: table moved"),
        (parent.packed(parent.acquisition(0, 3, 96)), "coil"),
    ],
    ids=["unknown message", "giant readout", "error of the host", "another coil count"],
)
def test_a_host_that_lies_gets_an_error(lie, said):
    middle = len(READOUTS) // 3
    stream = [opening(slices=2), *READOUTS[:middle], lie, *READOUTS[middle:], parent.CLOSE]
    answer = parent.Node(reconstruct).talk(stream)
    assert said in answer.error and slices_of(answer) == [] and answer.ending == "end of stream"


@pytest.mark.usefixtures("quick_network")
def test_a_host_that_stalls_inside_a_line_gets_an_error(monkeypatch):
    monkeypatch.setenv("SMUG_RECON_STALL_SECONDS", "1")
    answer = parent.Node(reconstruct).talk(opening(slices=2) + READOUTS[0] + HALF_A_LINE, half_close=False)
    assert "silence for 1 s at byte 500 of acquisition" in answer.error and answer.items == []


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (opening(trajectory="spiral"), "spiral"),
        (opening(b'<configuration><property name="images.typo" value="x"/></configuration>'), "images.typo"),
        (opening(b'<configuration><property name="model.sha256" value="00"/></configuration>'), "sha256"),
    ],
    ids=["trajectory", "unknown property", "other model"],
)
def test_what_cannot_run_is_said_before_any_data_flow(start, said):
    node = parent.Node(reconstruct)
    node.host.sendall(start)  # and not one readout
    answer = parent.read_answer(node.host)
    node.host.close()
    node.finish()
    assert said.lower() in answer.error.lower() and answer.ending == "end of stream"


def bare(item: object) -> bytes:
    """The bytes of an item, of an image without the seconds it took."""
    if isinstance(item, ismrmrd.Image):
        meta = item.meta
        del meta[TIMING]
        item.meta = meta
    return parent.packed(item)


@pytest.mark.usefixtures("quick_network")
def test_connect_gives_the_pixels_of_execute():
    data = [opening(slices=2), *READOUTS, parent.packed(parent.waveform(5)), parent.CLOSE]
    executed = parent.Node(reconstruct).talk(data)
    port = parent.free_port()
    server = threading.Thread(target=listen, args=(port, reconstruct), kwargs={"sessions": 1})
    server.start()
    with parent.dialled(port) as host:
        host.sendall(b"".join(data))
        connected = parent.read_answer(host, 60)
    server.join(10)
    assert executed.ending == connected.ending == "close"
    assert slices_of(executed) == [0, 1] and [*map(bare, executed.items)] == [*map(bare, connected.items)]
