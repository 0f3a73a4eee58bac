"""The tables and the index page: every scan in it, nothing of the patient, nothing from elsewhere, nothing that runs."""

from __future__ import annotations

import csv
import dataclasses
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image as Picture

from smug_recon.archive.page import Pages
from smug_recon.archive.record import DONE, FAILED, Record
from smug_recon.archive.results import Results
from smug_recon.archive.summary import summarise

HOSTILE = "<script>window.hacked = 1</script>\"'><img src=x onerror=window.hacked=1>"
ERROR = {"kind": "DataError", "found": HOSTILE, "expected": "lines", "remedy": "copy it again"}
SCANS = [
    Record("a/T2 100%#1.h5", DONE, 10, images=12, warnings=["no noise scan", HOSTILE], seconds=3.25),
    Record("b.h5", DONE, 10, images=9, fallbacks=2, fallback_reasons={"out of memory": 2}, seconds=11.0),
    Record("c<b>.h5", FAILED, 10, error=ERROR),
    Record("=cmd.h5", DONE, 10, images=1, cut="the session broke off", seconds=1.0),
]


def fill(out: Path, scans: list[Record]) -> Results:
    results = Results(str(out))
    for scan in scans:
        results.write_record(scan)
        if scan.status == DONE:
            place = Path(results.place("scans", scan.path))
            place.mkdir(parents=True)
            Picture.new("L", (128, 96), 99).save(place / "thumb.png")
    summarise(results)
    return results


def test_the_tables_hold_every_scan(tmp_path: Path) -> None:
    fill(tmp_path, SCANS)
    table = pq.read_table(tmp_path / "scans.parquet").to_pylist()
    with (tmp_path / "scans.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["path"] for row in table} == {scan.path for scan in SCANS}
    assert sorted(row["path"] for row in rows) == sorted(["'=cmd.h5", *(scan.path for scan in SCANS[:3])])
    by_path = {row["path"]: row for row in table}
    assert by_path["b.h5"]["fallbacks"] == 2 and by_path["a/T2 100%#1.h5"]["warnings"] == 2
    assert by_path["c<b>.h5"]["reason"].startswith("found <script>")


def test_the_page_says_everything_and_loads_nothing(tmp_path: Path) -> None:
    fill(tmp_path, SCANS)
    page = (tmp_path / "index.html").read_text()
    for text in (
        "4 scans",
        "no noise scan",
        "out of memory",
        "the session broke off",
        "copy it again",
        "--retry-failed",
    ):
        assert text in page
    assert "<script>window" not in page and "<img src=x" not in page
    assert "a/T2%20100%25%231.h5/thumb.png" in page
    assert not re.search(r"(https?:)?//[a-z]", page.replace("http-equiv", ""))
    assert page.count("<tr data-state=") == 4 and 'data-state="failed"' in page


def test_nothing_changes_where_nothing_has_changed(tmp_path: Path) -> None:
    results = fill(tmp_path, SCANS)
    before = {name: (tmp_path / name).read_bytes() for name in ("index.html", "scans.csv", "scans.parquet")}
    summarise(results)
    assert before == {name: (tmp_path / name).read_bytes() for name in before}


@pytest.mark.parametrize("scans", [0, 1, 3, 4, 7])
def test_pages_of_three(scans: int, tmp_path: Path) -> None:
    pages = Pages(Results(str(tmp_path)), rows=3)
    found = [dataclasses.replace(SCANS[1], path=f"s{number}.h5") for number in range(scans)]
    for start in range(0, scans, 2):
        pages.add(found[start : start + 2])
    pages.finish()
    names = ["index.html", *(f"index-{number}.html" for number in range(2, max(-(-scans // 3), 1) + 1))]
    assert sorted(path.name for path in tmp_path.glob("*.html")) == sorted(names)
    shown = [re.findall(r'<td class="path">(.*?)</td>', (tmp_path / name).read_text()) for name in names]
    assert [path for page in shown for path in page] == [record.path for record in found]
    for number, name in enumerate(names):
        text = (tmp_path / name).read_text()
        assert ("next 3" in text) == (number + 1 < len(names)) and ("3 before" in text) == (number > 0)
    assert f"{scans} scan" in (tmp_path / "index.html").read_text()


def test_the_page_in_a_browser(tmp_path: Path, browser: Any) -> None:
    fill(tmp_path, SCANS)
    browser.get((tmp_path / "index.html").as_uri())
    run = browser.execute_script
    browser.execute_async_script(
        "const done = arguments[0], images = [...document.images];"
        "Promise.all(images.map((image) => { image.loading = 'eager'; return image.decode(); })).then(done, done);"
    )
    assert run("return [...document.images].map((image) => image.naturalWidth)") == [128, 128, 128]
    assert run("return window.hacked") is None
    paths = "return [...document.querySelectorAll('tbody tr')].filter((r) => !r.hidden).map((r) => r.cells[1].textContent)"
    run("document.querySelectorAll('th button')[2].click()")
    assert run(paths)[0] == "c<b>.h5" and run(paths)[-1] == "a/T2 100%#1.h5"  # by images
    run(
        "const s = document.getElementById('search'); s.value = 'MEMORY'; s.dispatchEvent(new Event('input'))"
    )
    assert run(paths) == ["b.h5"]
    run("const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input'))")
    run("const s = document.getElementById('state'); s.value = 'failed'; s.dispatchEvent(new Event('input'))")
    assert run(paths) == ["c<b>.h5"]
    loud = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert loud == []
