"""The report for eyes, readers of screens and paper: it fits, letters stand out, everything has a name."""

from __future__ import annotations

import pytest
from report_window import Open

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
