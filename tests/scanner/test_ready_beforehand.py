"""What can be done before the last line of a slice is done by then: model loaded and run, coil maps made."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import hosts
import pytest
import torch

from smug_recon.errors import ModelError
from smug_recon.gadgets.maps import maps_ahead
from smug_recon.gadgets.maps.maps_ahead import MapsAhead
from smug_recon.gadgets.model.file import read_card
from smug_recon.pipeline import load_pipeline
from smug_recon.scanner.house import smallest_scan

LONG_S = 40


def test_the_coil_maps_of_a_session_are_made_before_the_last_line(start: Any, monkeypatch: Any) -> None:
    """The last line is held back until the maps are there; then they are those that are taken."""
    made, all_of_them, usual = threading.Event(), [], MapsAhead._make

    class Noted(MapsAhead):
        def __init__(self, plan: Any) -> None:
            super().__init__(plan)
            all_of_them.append(self)

        def _make(self, *arguments: Any) -> Any:
            found = usual(self, *arguments)
            made.set()
            return found

    monkeypatch.setattr(maps_ahead, "MapsAhead", Noted)
    monkeypatch.setattr(maps_ahead, "EVERY", 2)  # the scan has few lines
    lines, server = hosts.scan(), start()
    host = hosts.HostEnd(server.port)
    host.send(hosts.fire(), *lines[:-1])
    assert made.wait(LONG_S)
    heard = host.talk(lines[-1], hosts.CLOSE)
    assert heard.ending == "close" and len(heard.images) == 1
    assert [ahead.taken for ahead in all_of_them] == [1]


def test_the_default_model_is_loaded_and_run_before_the_server_is_ready(start: Any, model: Any) -> None:
    """Twice, before any host has connected: TorchScript compiles at the second run."""
    runs, ready = [], []

    def warm_up(*sizes: int) -> float:
        runs.append(sizes)
        ready.append(server_ready())
        return 0.0

    model.warm_up, begun = warm_up, threading.Event()

    def server_ready() -> bool:
        assert begun.wait(LONG_S)
        return bool(server.house.ready.is_set())

    server = start()
    begun.set()
    assert server.house.ready.wait(LONG_S)
    assert ready == [False, False] and runs == [(4, 64, 64, load_pipeline().samples)] * 2


def test_a_warm_up_that_fails_does_not_keep_the_server_from_its_sessions(start: Any, model: Any) -> None:
    def warm_up(*_: int) -> float:
        raise ModelError("a network that breaks", "one that does not", "look")

    model.warm_up = warm_up
    server = start()
    assert server.house.ready.wait(LONG_S)
    assert hosts.session(server.port, hosts.fire()).ending == "close"


def test_the_network_is_run_on_a_gpu_at_the_size_of_the_scan_while_the_scan_arrives(
    start: Any, model: Any
) -> None:
    """Not in the thread of the session, which reads; and the readouts go on to be taken meanwhile."""
    heard, threads, sizes = threading.Event(), [], []
    model.device = torch.device("cuda")
    server = start(tap=lambda number: lambda part: arrived.append(len(part)) or look())
    arrived: list[int] = []
    begin, lines = hosts.fire(), hosts.scan()
    assert server.house.ready.wait(LONG_S)

    def look() -> None:
        if sum(arrived) >= len(begin) + sum(map(len, lines)):
            heard.set()

    def warm_up(*found: int) -> float:
        threads.append(heard.wait(LONG_S))
        sizes.append(found)
        return 0.0

    model.warm_up = warm_up
    found = hosts.session(server.port, begin)
    assert found.ending == "close" and len(found.images) == 1, found.complaint
    assert threads and all(threads) and set(sizes) == {(4, 48, 48, load_pipeline().samples)}


@pytest.mark.parametrize(
    "file", sorted(Path(load_pipeline().model_path).parent.glob("*.pt")), ids=lambda path: path.stem
)
def test_the_size_of_the_warm_up_is_one_that_shipped_models_know(file: Path) -> None:
    trained, (coils, lines_y, readout_x) = read_card(file).trained_range, smallest_scan(read_card(file))
    (low_y, high_y), (low_x, high_x) = trained.matrix_yx
    assert low_y <= lines_y <= high_y and low_x <= readout_x <= high_x
    assert trained.coils[0] <= coils <= trained.coils[1]
