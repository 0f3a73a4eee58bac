"""A session server on loopback with CG-SENSE in the place of the network, and small scans to send to it."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smug_recon.gadgets.model.card import Card
from smug_recon.gadgets.wire.protocol import Limits
from smug_recon.scanner import session
from smug_recon.scanner.catalogue import Catalogue
from smug_recon.scanner.house import House, Settings
from smug_recon.scanner.models import Models
from smug_recon.scanner.server import Server

sys.path.insert(0, str(Path(__file__).parents[1] / "gadgets"))
from conventional import ConventionalModel
from reading_on import LONG_S


class WatchedModel(ConventionalModel):
    """The stand-in for the network; ``before`` is called with every slice."""

    def __init__(self, card: Card | None = None) -> None:
        super().__init__(card, iterations=8)
        self.before: Callable[[], None] = lambda: None

    def forward(self, kspace: Any, maps: Any, mask: Any, seed: int, samples: int) -> Any:
        self.before()
        return super().forward(kspace, maps, mask, seed, samples)


@pytest.fixture
def model() -> WatchedModel:
    return WatchedModel()


Start = Callable[..., Server]


@pytest.fixture
def start(model: WatchedModel) -> Iterator[Start]:
    """Start servers; they are stopped after the test, and no thread of theirs may be left."""
    servers: list[tuple[Server, threading.Thread]] = []
    logging.getLogger("smug_recon").setLevel(logging.INFO)  # as smug-recon serve sets it
    before = threading.active_count()

    def run(tap: Any = lambda number: None, catalogue: Catalogue | None = None, **settings: Any) -> Server:
        limits = Limits(stall_seconds=5.0, drain_seconds=5.0, drain_idle_seconds=1.0, message_bytes=1 << 24)
        chosen = {"port": 0, "idle_s": 20.0, "grace_s": 5.0, "limits": limits, "status_port": 0, **settings}
        house = House(
            Settings(**chosen),
            catalogue or Catalogue(),
            Models(lambda path, sha256, device: model),  # type: ignore[arg-type,return-value]
        )
        server = Server(house, tap)
        server.start()
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        servers.append((server, thread))
        return server

    yield run
    logging.getLogger("smug_recon").setLevel(logging.NOTSET)
    for server, thread in servers:
        server.stop()
        thread.join(5)
        assert not thread.is_alive()
    assert threading.active_count() <= before + 1


@pytest.fixture
def reading_on(monkeypatch: Any) -> Callable[[], None]:
    """Waits until a session, or one more of them, reads on; before, while its model is being loaded, its own thread reads."""
    begun, usual = threading.Semaphore(0), session.Host.halt

    def noted(host: session.Host, on: bool) -> None:
        usual(host, on)
        begun.release()

    def wait() -> None:
        assert begun.acquire(timeout=LONG_S), "no session reads on"

    monkeypatch.setattr(session.Host, "halt", noted)
    return wait
