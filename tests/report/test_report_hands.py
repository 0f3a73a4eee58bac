"""Sliders, keys, mouse, fingers and tabs window the images of the report and scroll through them."""

from __future__ import annotations

import pytest
from report_window import Open, press, settled


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
