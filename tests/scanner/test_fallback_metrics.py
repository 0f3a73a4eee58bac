"""Fallbacks in the metrics: counted by kind, a fixed set of words; what an error or a header says never stands there."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request

import hosts
import pytest
import torch

from smug_recon.gadgets.flow.kinds import KINDS, OUT_OF_MEMORY
from smug_recon.scanner import metrics

pytest.importorskip("prometheus_client", reason="needs prometheus-client (smug-recon[metrics])")

SECRET = "PATIENT^MARKED 19700101"


def sample(server, start: str) -> dict[str, float]:
    """The samples of one metric, by their label part."""
    lines = server.house.metrics.text().decode().splitlines()
    found = (line.removeprefix(start).rsplit(" ", 1) for line in lines if line.startswith(start))
    return {labels: float(value) for labels, value in found}


def test_fallbacks_are_counted_by_kind_and_tell_no_text(start, model, monkeypatch):
    server = start()

    def fails() -> None:
        raise RuntimeError(f"CUDA out of memory while {SECRET} was reconstructed")

    model.before = fails
    for _ in range(2):
        heard = hosts.session(server.port, hosts.fire(slices=2), slices=2)
        assert heard.ending == "close" and len(heard.images) == 2
    while server.active:
        pass
    model.before = lambda: None
    counted = sample(server, "smug_recon_fallbacks_total")
    assert counted == {f'{{reason="{kind}"}}': 4.0 if kind == OUT_OF_MEMORY else 0.0 for kind in KINDS}
    assert "MARKED" not in server.house.metrics.text().decode()
    assert sample(server, "smug_recon_sessions_total") == {'{host="FIRE",outcome="fallback"}': 2.0}


def test_a_lost_gpu_takes_its_memory_from_the_metrics_and_nothing_else(start, monkeypatch):
    """After a CUDA error every call on the device fails, those that ask for its memory too."""
    server = start()

    def lost(*_: object) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lost)
    logging.getLogger("smug_recon").setLevel(logging.INFO)
    assert metrics.gpu_memory() == {}
    assert sample(server, "smug_recon_sessions_active") == {"": 0.0}


def test_a_status_page_that_cannot_answer_says_so(start, monkeypatch, caplog):
    server = start()

    def fails() -> bytes:
        raise ValueError("a fault")

    monkeypatch.setattr(server.house.metrics, "text", fails)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{server._page.port}/metrics", timeout=20)
    with caught.value as answer:
        assert answer.code == 500 and answer.read() == b"an error, see the log\n"
    assert "the status page cannot answer" in caplog.text and "a fault" in caplog.text
