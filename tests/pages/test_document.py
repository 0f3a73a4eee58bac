"""Pages as one file: one look, everything escaped, nothing fetched, nothing forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest

from smug_recon.pages import COLOURS
from smug_recon.pages.document import document

pytest.importorskip("fsspec", reason="needs fsspec: pip install 'smug-recon[archive]'")

from smug_recon.archive.page import name_of, rendered

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "</title><script>window.hacked = 1</script>"
PAGE = {
    "number": 2,
    "size": 500,
    "rows": [],
    "failures": [],
    "counts": None,
    "before": name_of(1),
    "after": None,
}


def defined(path: Path) -> set[str]:
    """The custom properties that a style sheet gives a value."""
    return set(re.findall(r"(--[a-z-]+):", path.read_text(encoding="utf-8")))


def test_colours_have_one_home() -> None:
    ours = defined(Path(str(COLOURS)))
    assert {"--ground", "--ink", "--bad"} <= ours
    others = [path for path in ROOT.glob("*/page/*.css")]
    assert len(others) == 3 and not any(defined(path) & ours for path in others)


def test_every_colour_has_a_value_in_every_theme() -> None:
    text = COLOURS.read_text(encoding="utf-8")
    themes = [
        set(re.findall(r"(--[a-z-]+):", block)) for block in re.findall(r"\{\s*color-scheme[^}]*\}", text)
    ]
    used = {
        name
        for path in ROOT.glob("*/page/*.css")
        for name in re.findall(r"var\((--[a-z-]+)", path.read_text())
    }
    assert len(themes) == 3 and themes[0] == themes[1] == themes[2]
    assert used - themes[0] == {"--colours", "--scan"}  # of single elements of the report


def test_a_browser_may_fetch_nothing_for_it() -> None:
    page = rendered(**PAGE)
    assert "default-src 'none'; img-src 'self' file: data:; style-src 'unsafe-inline'" in page
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(?!data:)", page)
    assert COLOURS.read_text(encoding="utf-8") in page


def test_values_are_escaped_and_a_missing_one_is_an_error() -> None:
    page = document("smug_recon.archive", "index", {**PAGE, "before": HOSTILE})
    assert HOSTILE not in page and "&lt;script&gt;window.hacked" in page
    with pytest.raises(jinja2.UndefinedError, match="failures"):
        document("smug_recon.archive", "index", {key: PAGE[key] for key in PAGE if key != "failures"})
