"""The long table keeps every number of every study once, and a page shows exactly what stands in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from smug_recon.errors import DataError
from smug_recon.robustness.page.document import renew
from smug_recon.robustness.results.collected import Entry, collect, read_collected, write_collected
from smug_recon.robustness.results.summary import Result, write_results

ROOT = Path(__file__).resolve().parents[2]
ONE = Result(
    "modl", "modl.safetensors", "a:test", "clean", "0", 0, "psnr_db", 33.871, 30.4, 35.96, 3, 0, "abc"
)
PAGE = """# Page

<!-- table
study: first
columns: {clean: clean 0 psnr_db, range: clean 0 psnr_db interval, slices: clean 0 psnr_db count}
across: start psnr_db signed
-->
old
<!-- end -->

after
"""


def results() -> list[Result]:
    smug = replace(ONE, method="smug", mean=33.81)
    attacked = [
        replace(ONE, perturbation="start", strength=s, steps=10, mean=m)
        for s, m in (("0.01", 29.0), ("0.02", 25.8))
    ]
    return [ONE, *attacked, smug]


def folder(path: Path, own: list[Result]) -> Path:
    path.mkdir()
    write_results(own, path / "results.csv")
    return path


def test_a_study_that_is_collected_again_takes_the_place_of_its_former_self(tmp_path: Path) -> None:
    table = tmp_path / "robustness.csv"
    first, second = folder(tmp_path / "first", results()), folder(tmp_path / "second", [ONE])
    both = collect([first, second], table)
    assert [entry.study for entry in both] == ["first"] * 4 + ["second"]
    assert read_collected(table) == both
    (first / "results.csv").unlink()
    write_results([replace(ONE, mean=1.0)], first / "results.csv")
    again = collect([first], table)
    assert sorted((entry.study, entry.result.mean) for entry in again) == [("first", 1.0), ("second", 33.871)]
    before = table.read_bytes()
    collect([], table)
    assert table.read_bytes() == before


def test_a_page_shows_what_the_table_holds_and_nothing_else_is_touched(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    entries = [Entry(result, "first") for result in results()] + [Entry(replace(ONE, mean=0.0), "other")]
    assert renew(page, entries).tables == 1
    text = page.read_text()
    assert "old" not in text and text.endswith("<!-- end -->\n\nafter\n")
    assert "| method | clean | range | slices | 0.01 | 0.02 |" in text
    assert (
        "| modl | 33.87 | 33.87 [30.40, 35.96] | 3 | +29.00 [+30.40, +35.96] | +25.80 [+30.40, +35.96] |"
        in text
    )
    assert "| smug | 33.81 | 33.81 [30.40, 35.96] | 3 |  |  |" in text
    renew(page, entries)
    assert page.read_text() == text


def test_methods_are_shown_in_the_order_of_the_comment(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("across", "methods: [sm*, modl]\nacross"))
    renew(page, [Entry(result, "first") for result in results()])
    lines = [line.split(" | ")[0] for line in page.read_text().splitlines() if line.startswith("| ")]
    assert lines == ["| method", "| smug", "| modl"]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("study: first", "study: third", "third"),
        ("study: first", "studies: first", "cannot be read"),
        ("clean 0 psnr_db count", "clean psnr_db", "clean psnr_db"),
        ("clean 0 psnr_db count", "clean 0 psnr_db best", "clean 0 psnr_db best"),
        ("across", "methods: [modl, smog]\nacross", "no method 'smog'"),
    ],
)
def test_a_comment_that_cannot_be_followed_is_one_clear_error(
    tmp_path: Path, old: str, new: str, found: str
) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace(old, new))
    with pytest.raises(DataError, match=found):
        renew(page, [Entry(result, "first") for result in results()])
    assert "old" in page.read_text()


def test_two_numbers_for_one_cell_are_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    twice = [*results(), replace(results()[1], steps=100)]
    with pytest.raises(DataError, match="10, 100 steps"):
        renew(page, [Entry(result, "first") for result in twice])
    page.write_text(PAGE.replace("across", "steps: 10\nacross"))
    renew(page, [Entry(result, "first") for result in twice])
    assert "| modl | 33.87 | 33.87 [30.40, 35.96] | 3 | +29.00" in page.read_text()  # clean is no attack
    with pytest.raises(DataError, match="nothing of the study"):
        renew(page, [Entry(ONE, "second")])


def test_results_without_a_column_are_refused(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("method,mean\nmodl,3\n")
    with pytest.raises(DataError, match=r"results\.csv"):
        collect([tmp_path], tmp_path / "table.csv")
    assert not (tmp_path / "table.csv").exists()


def test_the_tables_of_the_page_on_robustness_are_those_of_the_csv(tmp_path: Path) -> None:
    page = tmp_path / "robustness.md"
    page.write_text((ROOT / "docs" / "robustness.md").read_text())
    entries = read_collected(ROOT / "benchmarks" / "robustness.csv")
    assert renew(page, entries).tables > 0
    assert page.read_text() == (ROOT / "docs" / "robustness.md").read_text()
    again = tmp_path / "again.csv"
    write_collected(entries, again)
    assert again.read_text() == (ROOT / "benchmarks" / "robustness.csv").read_text()
