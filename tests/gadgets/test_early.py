"""The scan is read while the model is loaded: nothing is lost, nothing waits, and a failure is told at once."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from small_scan import header

from smug_recon.errors import HeaderError, ModelError, StreamError
from smug_recon.gadgets.early import prepare_while_reading, since_start_s
from smug_recon.pipeline import load_pipeline


class Line:
    """A host whose items arrive when told."""

    def __init__(self, items, found=None):
        self.header = found or header()
        self._items, self.read, self.open = list(items), 0, True

    def due(self, seconds):
        if not self._items and self.open:
            time.sleep(seconds)
            return False
        return True

    def __iter__(self):
        while self._items:
            self.read += 1
            item = self._items.pop(0)
            if isinstance(item, Exception):
                raise item
            yield item


def test_items_are_read_while_the_model_is_loaded_and_keep_their_order(conventional_model):
    host = Line(range(100))

    def load():
        limit = time.monotonic() + 20
        while host.read < 100 and time.monotonic() < limit:
            time.sleep(0.001)
        seen.append(host.read)
        return conventional_model

    seen = []
    model, items = prepare_while_reading(host, load_pipeline(), load)
    assert seen == [100] and model is conventional_model and list(items) == list(range(100))


def test_no_more_than_so_much_is_read_ahead(conventional_model):
    host = Line(range(100))

    def load():
        limit = time.monotonic() + 20
        while host.read < 10 and time.monotonic() < limit:
            time.sleep(0.001)
        time.sleep(0.3)  # nothing more is read
        return conventional_model

    _, items = prepare_while_reading(host, load_pipeline(), load, 10 * 1024)
    assert host.read == 10 and list(items) == list(range(100))


def test_a_model_that_cannot_be_loaded_is_told_while_the_host_is_silent():
    def load():
        raise ModelError("nothing", "a model", "find it")

    with pytest.raises(ModelError, match="nothing"):
        prepare_while_reading(Line([]), load_pipeline(), load)


def test_a_host_that_breaks_off_meanwhile_is_an_error_behind_what_had_arrived(conventional_model):
    broken = Line([1, 2, StreamError("an end", "more", "look")])
    _, items = prepare_while_reading(broken, load_pipeline(), lambda: time.sleep(0.5) or conventional_model)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(StreamError, match="an end"):
        next(items)


def test_a_header_that_cannot_be_reconstructed_is_refused_before_the_first_readout(conventional_model):
    spiral = header()
    spiral.encoding[0].trajectory = type(spiral.encoding[0].trajectory)("spiral")
    host = Line(range(10), spiral)
    with pytest.raises(HeaderError):
        prepare_while_reading(host, load_pipeline(), lambda: conventional_model)
    assert host.read == 0


def test_the_connection_is_made_without_torch():
    code = (
        "import sys, smug_recon.gadgets, smug_recon.gadgets.wire.connection, smug_recon.gadgets.early;"
        "import smug_recon.gadgets.header.plan, smug_recon.gadgets.header.units, smug_recon.pipeline;"
        "import smug_recon.gadgets.scan, smug_recon.gadgets.stream, smug_recon.gadgets.wire.spooled;"
        "from smug_recon.gadgets.flow.observer import observer_of_environment; observer_of_environment();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_the_age_of_the_process_is_known():
    assert 0 <= since_start_s() < 24 * 3600
