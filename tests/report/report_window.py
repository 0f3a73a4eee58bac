"""The report in a window of a real browser: painted, its pictures as numbers, keys pressed on an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
Open = Callable[..., Any]


def settled(browser: Any, canvas: int = 0) -> dict[str, Any]:
    browser.execute_async_script(SETTLED)
    return browser.execute_script(PICTURE, canvas)


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver.common.by import By

    browser.find_element(By.CSS_SELECTOR, "canvas").send_keys(*keys)
