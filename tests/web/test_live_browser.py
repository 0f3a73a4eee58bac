"""The live page in a real browser: sessions side by side, a failure, a fallback, a restart, a phone, the keyboard."""

from __future__ import annotations

import json
import re
import socket
import threading
from types import SimpleNamespace
from urllib.parse import urlsplit

import hosts
import pytest
from small_scan import sampled_lines

from smug_recon.pages import COLOURS
from smug_recon.scanner.catalogue import Catalogue
from smug_recon.scanner.house import House, Settings
from smug_recon.web import LivePage

PATIENCE_S = 120.0
NOISE, LINES = 8, len(sampled_lines())
KINDS = (hosts.fire, hosts.client, hosts.connect)


@pytest.fixture
def live(start, browser):
    """A session server with its page in the browser; afterwards the browser has nothing to complain of."""
    server = start(idle_s=600.0)
    page = LivePage(server.house, 0)
    server.page = page
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(page.address)
    until(browser, "return document.getElementById('health').dataset.level == 'good'")
    yield server
    try:
        assert [
            entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
        ] == []
        assert origins(browser) == {urlsplit(page.address).netloc}
    finally:
        browser.get("about:blank")
        page.close()


def until(browser, script):
    """What a script returns, once it is true."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, PATIENCE_S, 0.1).until(lambda driver: driver.execute_script(script), script)


def origins(browser):
    """Where the page has sent requests to."""
    found = set()
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
            url = urlsplit(message["params"].get("request", message["params"])["url"])
            if url.scheme in ("http", "https", "ws", "wss"):
                found.add(url.netloc)
    return found


class Hosts:
    """Several hosts that each send the first of two slices, and the rest when told to."""

    def __init__(self, port, kinds=KINDS):
        self.messages = hosts.scan(2)
        self.ends = [hosts.HostEnd(port, timeout=PATIENCE_S) for _ in kinds]
        for end, kind in zip(self.ends, kinds, strict=True):
            end.send(kind(slices=2), *self.messages[: NOISE + LINES])

    def finish(self):
        """Send the second slices; what each host has heard."""
        rest = [*self.messages[NOISE + LINES :], hosts.CLOSE]
        found = {}
        threads = [
            threading.Thread(target=lambda end=end: found.update({end: end.talk(*rest)}), daemon=True)
            for end in self.ends
        ]
        [thread.start() for thread in threads]
        [thread.join(PATIENCE_S) for thread in threads]
        return [found[end] for end in self.ends]


PICTURED = """return [...document.querySelectorAll('%s')].filter(image => image.complete && image.naturalWidth > 0).length"""
RUNNING, PAST = "#running .card", "#past-rows > tr[data-level]"


def test_sessions_side_by_side_with_queue_and_images_while_they_run(live, browser, model):
    gate = threading.Event()
    model.before = lambda: gate.wait(PATIENCE_S) or None
    several = Hosts(live.port)
    until(browser, "return document.querySelectorAll('#tile-queue li').length == 3")
    pills = until(
        browser,
        f"const all = [...document.querySelectorAll('{RUNNING} .pill')].map(pill => pill.textContent);"
        "return all.length == 3 && all",
    )
    assert sorted(pills) == [
        "on the device",
        "waits for the device, place 1",
        "waits for the device, place 2",
    ]
    assert browser.execute_script(PICTURED % ".strip img") == 0
    gate.set()
    until(browser, (PICTURED % f"{RUNNING} .strip img") + " == 3")
    assert live.active == 3  # the images are there before the scans are over
    cards = browser.execute_script(
        f"return [...document.querySelectorAll('{RUNNING}')].map(card => card.innerText)"
    )
    named = ("FIRE", "gadgetron_ismrmrd_client", "Gadgetron connect")
    assert {kind for kind in named for card in cards if kind in card} == set(named)
    for number, card in enumerate(cards, 1):
        assert card.startswith(f"Session {number}") and "48 × 48 · 2 slices · 4 coils · R 2" in card
        assert "Slice 1 of 2" in card and "1 image sent" in card
    assert sum("waiting for the device" in card for card in cards) >= 1
    stages = browser.execute_script(
        f"return [...document.querySelectorAll('{RUNNING} .stages tbody tr')].map(row => row.innerText)"
    )
    assert any(re.fullmatch(r"network\s+\d+(\.\d+)? s", row) for row in stages), stages
    assert [heard.ending for heard in several.finish()] == ["close"] * 3
    rows = until(
        browser,
        f"const rows = [...document.querySelectorAll('{PAST}')].map(row => row.innerText);"
        f"return rows.length == 3 && document.querySelectorAll('{RUNNING}').length == 0 && rows",
    )
    assert all("done" in row for row in rows)
    assert "All is well" in browser.find_element("id", "headline").text


def test_a_failed_session_is_shown_with_its_reason_and_so_is_a_fallback(live, browser, model):
    hosts.session(live.port, hosts.fire("other"))
    row = until(browser, f"return document.querySelector('{PAST}')?.innerText")
    assert "failed" in row and "no configuration 'other' on this server" in row
    assert browser.find_element("id", "headline").text == "Session 1 failed"

    def broken():
        raise RuntimeError("a network that fails")

    model.before = broken
    several = Hosts(live.port, (hosts.fire,))
    card = until(
        browser, f"return document.querySelector('{RUNNING} .alerts li')?.closest('.card').innerText"
    )
    assert "1 slice not made by the network" in card and "a network that fails" in card
    until(browser, (PICTURED % "button.thumb.fallback img") + " == 1")
    assert several.finish()[0].ending == "close"
    until(browser, f"return document.querySelectorAll('{PAST}').length == 2")
    assert "fallback" in browser.find_element("css selector", PAST).text
    points = browser.find_element("id", "points").text
    assert "Session 2: 2 of 2 slices not made by the network" in points


REPORT = """<!doctype html><title>report</title><p id="said">before</p><img src="https://example.invalid/a.png">
<script>document.getElementById("said").textContent = "its own script ran";
let reached = "nothing"; try { reached = String(parent.document.cookie + localStorage.length); } catch { }
document.title = reached;
fetch("/api/sessions").then(() => { document.title = "the server"; }, () => { document.title += ", no request"; });
</script>"""


def test_a_report_is_linked_and_opens_where_it_reaches_nothing(live, browser, tmp_path):
    (tmp_path / "report.html").write_text(REPORT)
    hosts.session(live.port, hosts.fire())
    until(browser, f"return document.querySelector('{PAST}')")
    live.page.ledger.find(1).account.keeping = SimpleNamespace(path=tmp_path, name="spool")
    link = until(browser, f"return document.querySelector('{PAST} a')?.href")
    assert link == f"{live.page.address}sessions/1/report.html"
    browser.get(link)
    until(browser, "return document.title.endsWith('no request')")
    assert browser.title == "nothing, no request"
    assert browser.find_element("id", "said").text == "its own script ran"
    refused = [entry["message"] for entry in browser.get_log("browser")]
    assert refused and all("Content Security Policy" in message for message in refused)
    browser.get_log("performance")  # has the request that was refused
    browser.get(live.page.address)


def test_a_phone_shows_all_without_moving_sideways_and_keys_are_enough(live, browser):
    from selenium.webdriver.common.keys import Keys

    hosts.session(live.port, hosts.fire("x" * 60))
    several = Hosts(live.port, (hosts.client,))
    until(browser, (PICTURED % f"{RUNNING} .latest img") + " == 1")
    browser.execute_script("document.querySelector('.more').focus()")
    for width, theme in ((360, "dark"), (768, "light"), (1280, "dark")):
        metrics = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        until(browser, f"return innerWidth == {width} || document.documentElement.clientWidth == {width}")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", colour)[:3])) < 300) == (theme == "dark")
    active = browser.switch_to.active_element
    active.send_keys(Keys.ENTER)
    until(browser, "return document.querySelector('.details:not([hidden]) .stages')")
    assert active.get_attribute("aria-expanded") == "true"
    active.send_keys(Keys.ENTER)
    until(browser, "return document.querySelectorAll('.details:not([hidden])').length == 0")
    browser.find_element("css selector", f"{RUNNING} .latest").send_keys(Keys.ENTER)
    until(browser, (PICTURED % "dialog[open] #viewer-image") + " == 1")
    assert browser.find_element("id", "viewer-title").text == "Session 2, image 1"
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    until(browser, "return !document.querySelector('dialog[open]')")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    several.finish()


def test_the_page_says_when_the_server_is_away_and_comes_back_with_it(browser):
    houses = [House(Settings(), Catalogue()) for _ in range(2)]
    [house.ready.set() for house in houses]
    page = LivePage(houses[0], 0)
    browser.get(page.address)
    until(browser, "return document.getElementById('headline').textContent == 'All is well'")
    page.close()
    until(browser, "return document.getElementById('headline').textContent == 'Connection lost'")
    assert "trying again" in browser.find_element("id", "subline").text
    houses[1].trouble = "the GPU was lost"
    page = LivePage(houses[1], page.port)
    until(browser, "return document.getElementById('headline').textContent == 'The GPU was lost'")
    assert not browser.execute_script("return document.body.classList.contains('lost')")
    browser.get("about:blank")
    page.close()
    refused = [entry for entry in browser.get_log("browser") if "net::ERR_" not in entry["message"]]
    assert [entry for entry in refused if entry["level"] == "SEVERE"] == []


def test_a_silent_server_is_away_as_well(browser, house):
    page = LivePage(house, 0)
    browser.get(page.address)
    until(browser, "return document.getElementById('headline').textContent == 'All is well'")
    port = page.port
    page.close()
    with socket.create_server(("127.0.0.1", port)):  # takes connections and says nothing
        until(browser, "return document.getElementById('headline').textContent == 'Connection lost'")
        browser.get("about:blank")
    browser.get_log("browser")


def luminance(colour):
    """Relative luminance of a colour (WCAG 2.2)."""
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("block", [0, 1, 2])
def test_text_stands_out_from_its_ground_in_every_theme(block):
    css = COLOURS.read_text()
    found = dict(
        re.findall(r"--([a-z-]+): (#[0-9a-f]+)", re.findall(r"\{\s*color-scheme[^}]*\}", css)[block])
    )
    for text, grounds in {
        "ink": ("ground", "card", "good-ground", "care-ground", "bad-ground"),
        "soft": ("ground", "card", "good-ground"),
        "well": ("card", "good-ground"),
        "care": ("card", "care-ground"),
        "bad": ("card", "bad-ground"),
        "bar": ("card",),
    }.items():
        for ground in grounds:
            high, low = sorted((luminance(found[text]), luminance(found[ground])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
