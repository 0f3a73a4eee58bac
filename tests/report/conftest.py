"""The stand-in for the network, the way to the small scan of the stage tests, and a report opened in a browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path[:0] = [str(Path(__file__).parents[1] / "gadgets")]  # small_scan

from report_model import SpreadingModel, make_model  # noqa: E402
from report_scans import hostile_xml, replayed  # noqa: E402
from report_window import SETTLED, Open  # noqa: E402

from smug_recon.report import write_report  # noqa: E402


@pytest.fixture
def model() -> SpreadingModel:
    """The stand-in, afresh."""
    torch.set_num_threads(1)
    return make_model()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a small scan with a hostile header, a fallback series and everything that can be shown."""
    folder = tmp_path_factory.mktemp("report")
    settings = {"images.conventional": True}
    replayed(folder, make_model(), 6, hostile_xml(6), warnings=("<b>odd</b>",), **settings)
    return write_report(folder)


@pytest.fixture
def opened(browser: Any, report: Path) -> Open:
    """``opened(width, dark, media)``: the page in a window, painted."""

    def show(width: int = 1200, dark: bool = False, media: str = "", path: Path = report) -> Any:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": scheme})
        browser.get(path.as_uri())
        assert browser.execute_async_script(SETTLED)
        return browser

    return show
