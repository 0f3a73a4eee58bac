"""The report in a real browser: nothing is asked of anybody, images scroll and window, for eyes, hands and paper."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from report_model import make_model
from report_scans import hostile_xml, replayed

from smug_recon.report import write_report

SETTLED = """
const done = arguments[0];
Promise.all(viewers.map((v) => v.drawn)).then(() => requestAnimationFrame(() => done(true)));
"""
PICTURE = """
const canvas = document.querySelectorAll('canvas')[arguments[0]];
const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
let sum = 0, hash = 7;
for (let n = 0; n < data.length; n += 4) { sum += data[n]; hash = (31 * hash + data[n] + 3 * data[n + 2]) >>> 0; }
return {sum: sum / (data.length / 4), hash, w: canvas.width, h: canvas.height};
"""
CONTRAST = """
function channel(v) { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }
function light(rgb) { return 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]); }
function numbers(text) { return text.match(/[\\d.]+/g).map(Number); }
function ground(element) {
  for (let e = element; e; e = e.parentElement) {
    const colour = numbers(getComputedStyle(e).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
}
const poor = [];
for (const element of document.querySelectorAll('body *')) {
  const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !element.checkVisibility() || ['SCRIPT', 'STYLE', 'OPTION', 'NOSCRIPT'].includes(element.tagName)) continue;
  const a = light(numbers(getComputedStyle(element).color)), b = light(ground(element));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) poor.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)} ${element.textContent.slice(0, 40)}`);
}
return poor;
"""
NAMELESS = """
const bare = [];
for (const e of document.querySelectorAll('input, select, button, canvas, img, a, summary')) {
  const label = e.getAttribute('aria-label') || e.closest('label')?.textContent.trim() || e.textContent.trim() || e.alt;
  if (!label) bare.push(e.outerHTML.slice(0, 80));
}
const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) bare.push('twice: ' + id);
for (const e of document.querySelectorAll('[aria-labelledby]'))
  if (!document.getElementById(e.getAttribute('aria-labelledby'))) bare.push('no ' + e.getAttribute('aria-labelledby'));
let level = 1;
for (const e of document.querySelectorAll('h1, h2, h3')) {
  const now = Number(e.tagName[1]);
  if (now > level + 1) bare.push('heading ' + e.textContent);
  level = now;
}
return bare;
"""

Open = Callable[..., Any]


@pytest.fixture(scope="module")
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


def settled(browser: Any, canvas: int = 0) -> dict[str, Any]:
    browser.execute_async_script(SETTLED)
    return browser.execute_script(PICTURE, canvas)


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver.common.by import By

    browser.find_element(By.CSS_SELECTOR, "canvas").send_keys(*keys)


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


@pytest.mark.parametrize("slider", ["level", "width"])
def test_sliders_window_the_image(slider: str, opened: Open) -> None:
    from selenium.webdriver.common.by import By

    browser = opened()
    before = settled(browser)
    browser.find_element(By.CSS_SELECTOR, f".{slider}").send_keys("\ue00f" * 3)  # page down
    after = settled(browser)
    assert before["hash"] != after["hash"] and after["sum"] > before["sum"] * 1.02
    browser.find_element(By.CSS_SELECTOR, ".reset").click()
    assert settled(browser) == before


def test_the_keyboard_scrolls_and_windows(opened: Open) -> None:
    browser = opened()
    said = "return document.querySelector('canvas').getAttribute('aria-valuetext')"
    assert browser.execute_script(said) == "slice 3 (3 of 6)"
    seen = {settled(browser)["hash"]}
    for keys, slice_number in (
        ("\ue013", 4),
        ("\ue013\ue013\ue013", 6),
        ("\ue011", 1),
        ("\ue010", 6),
        ("\ue015", 5),
    ):
        press(browser, keys)  # up; up beyond the end; home; end; down
        seen.add(settled(browser)["hash"])
        assert browser.execute_script(said) == f"slice {slice_number} ({slice_number} of 6)"
        assert (
            browser.execute_script("return Number(document.querySelector('.slice').value)")
            == slice_number - 1
        )
    assert len(seen) == 5  # slices 3, 4, 6, 1, 5
    before = settled(browser)
    for key in ("\ue014", "\ue008\ue014"):  # right: level; with Shift: width
        press(browser, key)
        after = settled(browser)
        assert after["hash"] != before["hash"]
        before = after


def test_the_mouse_drags_the_window_and_the_wheel_scrolls_once_it_is_asked_to(opened: Open) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    browser = opened()
    canvas = browser.find_element(By.CSS_SELECTOR, "canvas")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    state = "return [viewers[0].slice, viewers[0].level, viewers[0].width]"
    start = browser.execute_script(state)
    ActionChains(browser).scroll_from_origin(ScrollOrigin.from_element(canvas), 0, 120).perform()
    assert browser.execute_script(state) == start  # the page scrolled, not the images
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    ActionChains(browser).click_and_hold(canvas).move_by_offset(-40, 30).release().perform()
    slice_number, level, width = browser.execute_script(state)
    assert slice_number == start[0] and level > start[1] and width < start[2]
    heard = "viewers[0].canvases[0].addEventListener('wheel', (e) => { window.heard = e.deltaY; })"
    browser.execute_script(heard)
    ActionChains(browser).scroll_from_origin(ScrollOrigin.from_element(canvas), 0, 120).perform()
    WebDriverWait(browser, 30).until(lambda b: b.execute_script("return window.heard !== undefined"))
    assert browser.execute_script(state)[0] == start[0] + 1


def test_a_finger_scrolls_through_the_slices(opened: Open) -> None:
    browser = opened(360)
    box = browser.execute_script(
        "const c = document.querySelector('canvas'); c.scrollIntoView({block: 'center'});"
        "const r = c.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]"
    )
    x, y = box[0] + box[2] / 4, box[1] + box[3] / 2

    def touch(kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": a, "y": b} for a, b in points]
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    before = browser.execute_script("return viewers[0].slice")
    touch("touchStart", (x, y))
    for step in range(1, 6):
        touch("touchMove", (x + step * box[2] / 12, y))
    touch("touchEnd")
    assert browser.execute_script("return viewers[0].slice") > before


def test_series_are_chosen_by_tabs(opened: Open) -> None:
    from selenium.webdriver.common.by import By

    browser = opened()
    before = settled(browser)
    browser.find_elements(By.CSS_SELECTOR, "#viewer-series .tabs input")[1].send_keys(" ")
    assert settled(browser)["hash"] != before["hash"]
    assert (
        browser.execute_script("return document.querySelector('#viewer-series figcaption b').textContent")
        == "CG-SENSE"
    )
    assert browser.execute_script("return viewers[0].slice") == 2  # the same slice


def test_the_difference_is_signed_and_enlarged(opened: Open) -> None:
    browser = opened()
    ends = (
        "return [...document.querySelectorAll('.difference + .ends span')].map((e) => Number(e.textContent))"
    )
    low, high = browser.execute_script(ends)
    assert low == -high
    before = settled(browser, 3)
    browser.execute_script(
        "const g = document.querySelector('.gain'); g.value = '20'; g.dispatchEvent(new Event('change'))"
    )
    assert settled(browser, 3)["sum"] > before["sum"]
    assert browser.execute_script(ends)[1] == pytest.approx(high / 4, rel=0.01)


@pytest.mark.parametrize("width", [360, 768, 1200])
def test_nothing_sticks_out_of_the_window(width: int, opened: Open) -> None:
    browser = opened(width)
    wide, window = browser.execute_script(
        "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]"
    )
    assert wide == window and window > width - 20  # less a scroll bar
    small = browser.execute_script(
        "return [...document.querySelectorAll('button, select, input')].filter((e) => {"
        "const r = e.getBoundingClientRect(); return r.width > 0 && r.height < 24 }).length"
    )
    assert small == 0  # for fingers


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_letters_stand_out_from_their_ground(dark: bool, opened: Open) -> None:
    browser = opened(dark=dark)
    assert browser.execute_script(CONTRAST) == []
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(13, 20, 26)" if dark else "rgb(238, 242, 245)")


def test_paper_is_white_without_controls_even_from_a_dark_screen(opened: Open) -> None:
    browser = opened(794, dark=True, media="print")
    assert (
        browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    assert browser.execute_script(
        "return [...document.querySelectorAll('.controls, .tabs, .skip')].every((e) => !e.checkVisibility())"
    )
    assert (
        browser.execute_script("return document.querySelector('canvas').getBoundingClientRect().width") > 100
    )
    assert browser.execute_script(CONTRAST) == []
    pages = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert len(pages["data"]) > 10_000


def test_everything_has_a_name_and_a_place_in_the_order(opened: Open) -> None:
    browser = opened()
    assert browser.execute_script(NAMELESS) == []
    stops = []
    for _ in range(7):
        browser.execute_cdp_cmd(
            "Input.dispatchKeyEvent",
            {"type": "keyDown", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9},
        )
        stops.append(
            browser.execute_script("const e = document.activeElement; return e.className || e.tagName")
        )
    assert stops == ["skip", "INPUT", "CANVAS", "slice", "level", "width", "reset"]
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.execute_script(outline) == "solid"


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
