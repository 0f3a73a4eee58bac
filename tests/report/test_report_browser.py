"""The report in a real browser: nothing is asked of anybody, and what it shows are the values of the file."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from report_model import make_model
from report_scans import replayed
from report_window import PICTURE, Open, settled

from smug_recon.report import write_report


def test_nothing_is_asked_of_anybody_and_nothing_goes_wrong(opened: Open, report: Path) -> None:
    opened().get_log("browser")
    opened().get_log("performance")
    browser = opened()
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    asked = set()
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.add(message["params"]["request"]["url"])
    outside = {address for address in asked if not address.startswith(("data:", "blob:"))}
    assert outside == {report.as_uri()}
    assert (
        browser.execute_script(
            "return window.hacked === undefined && document.querySelectorAll('script').length"
        )
        == 2
    )
    assert "<script>" in browser.execute_script("return document.querySelector('h1').textContent")


def test_every_canvas_shows_its_image(opened: Open) -> None:
    browser = opened()
    kinds = browser.execute_script("return viewers.map((v) => v.tab.panels.map((p) => p.kind))")
    assert kinds == [["grey"], ["grey", "grey", "difference", "spread"]]
    shown = [browser.execute_script(PICTURE, n) for n in range(5)]
    assert all(picture["sum"] > 1 and (picture["w"], picture["h"]) == (48, 48) for picture in shown)
    assert len({picture["hash"] for picture in shown[1:]}) == 4


def test_what_the_browser_shows_are_the_values_of_the_file(opened: Open, report: Path) -> None:
    import numpy as np

    from smug_recon.report.book import read_book
    from smug_recon.report.viewers import page_turn

    book = read_book(report.parent)
    values = opened().execute_script("return [...viewers[0].images[0].values]")
    (_, image) = next(book.images("images_1", {2}))  # of six, the browser opens the third
    turned = page_turn(book)(np.asarray(image.data)[0, 0])
    assert np.array_equal(np.array(values).reshape(48, 48), turned.astype(float))


def test_a_stand_in_is_said_beside_the_image(opened: Open, tmp_path: Path) -> None:
    browser = opened(path=write_report(replayed(tmp_path, make_model(broken=True), 2)))
    assert "Not the network's image: CG-SENSE" in browser.execute_script(
        "return document.querySelector('.stand-in').innerText"
    )


def test_the_live_page_can_show_it_in_its_sandbox(opened: Open, report: Path) -> None:
    """Behind the policy that ``serve --web`` sends with a report, everything still works."""
    from smug_recon.web.answers import REPORT_POLICY

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = report.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", REPORT_POLICY)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    browser = opened()
    browser.get_log("browser")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.get(f"http://127.0.0.1:{server.server_address[1]}/")
        assert settled(browser)["sum"] > 1
        browser.get("about:blank")
        server.shutdown()
    assert [entry["message"] for entry in browser.get_log("browser")] == []
