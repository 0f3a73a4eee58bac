"""The live page over a house without sessions, over a real session server, and a browser to look at it with."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from smug_recon.scanner.catalogue import Catalogue
from smug_recon.scanner.house import House, Settings
from smug_recon.web import LivePage, pictures
from smug_recon.web.pictures import Pictures, painted

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "gadgets"), str(TESTS / "scanner")]  # small_scan, hosts

spec = importlib.util.spec_from_file_location("scanner_fixtures", TESTS / "scanner" / "conftest.py")
assert spec is not None and spec.loader is not None
scanner_fixtures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scanner_fixtures)
model, start = scanner_fixtures.model, scanner_fixtures.start


@pytest.fixture
def house() -> House:
    """A server's house that no session has entered."""
    house = House(Settings(), Catalogue())
    house.ready.set()
    return house


@pytest.fixture
def page(house: House) -> Iterator[LivePage]:
    """Its page."""
    page = LivePage(house, 0)
    yield page
    page.close()


@pytest.fixture
def painter(monkeypatch):
    """Pictures whose brush moves only when ``free`` is set."""
    free = threading.Event()

    def slow(image):
        assert free.wait(60)
        return painted(image)

    monkeypatch.setattr(pictures, "painted", slow)
    made = Pictures()
    made.free = free
    yield made
    free.set()
    made.close()
