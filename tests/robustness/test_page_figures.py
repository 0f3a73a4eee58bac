"""A figure of a page shows what the long table holds, the same bytes every time, and says so when it cannot."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smug_recon.errors import DataError
from smug_recon.robustness.page.document import BLOCK, renew
from smug_recon.robustness.page.drawing import digest_of, picture_of
from smug_recon.robustness.page.figures import figure_of
from smug_recon.robustness.results.collected import Entry, read_collected
from smug_recon.robustness.results.summary import Result

ROOT = Path(__file__).resolve().parents[2]


LARGEST = 64_000


CURVES = """file: curves.png
title: All of it
study: first
methods: [smug, modl]
across: {start: start psnr_db, noise: noise psnr_db}
clean: true
steps: 10
"""


FAMILY = """file: family.svg
title: Over sigma
study: [first, second]
columns: {clean: clean 0 psnr_db, attacked: start 0.02 psnr_db}
lines: {pairs: smug-*-pair}
levels: [modl]
x_label: sigma
steps: 10
"""


TRADE_OFF = """file: trade.png
title: One against the other
study: first
methods: [smug]
columns: {clean dB: clean 0 psnr_db_minus_modl, attacked dB: start 0.02 psnr_db_minus_modl}
steps: 10
"""


def result(method: str, perturbation: str, strength: str, mean: float, **changes: Any) -> Result:
    own = Result(
        method,
        "m",
        "a:test",
        perturbation,
        strength,
        10 if perturbation == "start" else 0,
        "psnr_db",
        mean,
        mean - 1.25,
        mean + 0.5,
        6,
        0,
        "c",
    )
    return replace(own, **changes)


@pytest.fixture
def entries() -> list[Entry]:
    found: list[Result] = []
    for number, method in enumerate(("modl", "smug")):
        found.append(result(method, "clean", "0", 34 - 0.1 * number))
        found.append(result(method, "clean", "0", 8 * (1 + number), metric="denoiser_calls"))
        found += [
            result(method, "start", strength, 30 - drop + number)
            for strength, drop in (("0.02", 4), ("0.01", 2))
        ]
        found += [result(method, "start", "0.02", 20.0, steps=100)]
        found += [result(method, "noise", "0.05", 29.0 + number)]
    found += [
        result("smug", "clean", "0", -0.1, metric="psnr_db_minus_modl"),
        result("smug", "start", "0.02", 1.0, metric="psnr_db_minus_modl"),
    ]
    varied = [
        result(f"smug-{sigma}-pair", perturbation, strength, 33.0 - 10 * float(sigma))
        for sigma in ("0.05", "0.01", "0.1")
        for perturbation, strength in (("clean", "0"), ("start", "0.02"))
    ]
    return [Entry(one, "first") for one in found] + [Entry(one, "second") for one in varied]


def plotted(axes: Any, label: str) -> list[tuple[float, float, float, float]]:
    """Return x, mean, low, high as they stand in the lines and bars of axes."""
    (line,) = [one for one in axes.get_lines() if one.get_label() == label]
    (bars,) = [one for one in axes.collections if one.get_label() == label]
    ends = [(segment[0], segment[1]) for segment in bars.get_segments()]
    assert all(low[0] == high[0] == x for (low, high), x in zip(ends, line.get_xdata(), strict=True))
    return [
        (float(x), float(mean), float(low[1]), float(high[1]))
        for x, mean, (low, high) in zip(line.get_xdata(), line.get_ydata(), ends, strict=True)
    ]


def test_curves_are_the_numbers_of_the_table(entries: list[Entry]) -> None:
    first, second = picture_of(figure_of(CURVES, entries)).axes
    assert (first.get_title(), second.get_title()) == ("start", "noise")
    assert [line.get_label() for line in first.get_lines()] == ["smug", "modl"]
    assert plotted(first, "modl") == [(0, 34, 32.75, 34.5), (0.01, 28, 26.75, 28.5), (0.02, 26, 24.75, 26.5)]
    assert plotted(second, "smug") == [(0, 33.9, 32.65, 34.4), (0.05, 30, 28.75, 30.5)]
    assert first.get_ylim() == second.get_ylim()
    styles = [(line.get_marker(), line.get_linestyle(), line.get_color()) for line in first.get_lines()]
    assert all(len(set(part)) == 2 for part in zip(*styles, strict=True))
    assert {text.get_text() for text in second.texts} == {"smug", "modl"}  # named at their ends, once
    assert "6 slices" in picture_of(figure_of(CURVES, entries)).texts[0].get_text()


def test_a_family_of_methods_is_a_line_over_the_number_in_their_names(entries: list[Entry]) -> None:
    clean, attacked = picture_of(figure_of(FAMILY, entries)).axes
    expected = [
        (x, pytest.approx(33 - 10 * x), pytest.approx(31.75 - 10 * x), pytest.approx(33.5 - 10 * x))
        for x in (0.01, 0.05, 0.1)
    ]
    assert plotted(clean, "pairs") == expected
    (level,) = [line for line in attacked.get_lines() if line.get_label() == "modl"]
    assert list(level.get_ydata()) == [26, 26]


def test_a_trade_off_has_a_point_with_both_intervals_and_its_reference_at_zero(entries: list[Entry]) -> None:
    (axes,) = picture_of(figure_of(TRADE_OFF, entries)).axes
    points = {
        line.get_label(): (*line.get_xdata(), *line.get_ydata())
        for line in axes.get_lines()
        if not line.get_label().startswith("_")
    }
    assert points == {"smug (16)": (-0.1, 1.0), "modl (8)": (0, 0)}
    bars = [bars.get_segments()[0].tolist() for bars in axes.collections]
    assert bars == [[[-1.35, 1.0], [0.4, 1.0]], [[-0.1, -0.25], [-0.1, 1.5]]]
    assert {text.get_text() for text in axes.texts} == set(points)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("clean dB", "attacked dB")
    plain = TRADE_OFF.replace("psnr_db_minus_modl", "psnr_db") + "calls: false\n"
    (axes,) = picture_of(figure_of(plain, entries)).axes
    assert [line.get_label() for line in axes.get_lines()] == ["smug"]


def page_of(folder: Path, *said: str) -> Path:
    page = folder / "page.md"
    page.write_text("\n".join(f"<!-- figure\n{one}-->\nold\n<!-- end -->\n" for one in said))
    return page


def test_drawing_twice_gives_the_same_bytes_and_they_say_what_they_show(
    entries: list[Entry], tmp_path: Path
) -> None:
    page = page_of(tmp_path, CURVES, FAMILY, TRADE_OFF)
    renewed = renew(page, entries)
    assert [path.name for path in renewed.drawn] == ["curves.png", "family.svg", "trade.png"]
    assert "-->\n![All of it](figures/curves.png)\n<!-- end -->" in page.read_text()
    first, text = {path: path.read_bytes() for path in renewed.drawn}, page.read_text()
    assert renew(page, entries).drawn == list(first) and page.read_text() == text
    assert {path: path.read_bytes() for path in first} == first
    for path, said in zip(first, (CURVES, FAMILY, TRADE_OFF), strict=True):
        assert digest_of(path) == figure_of(said, entries).digest
        assert len(first[path]) < LARGEST
        assert b"atplotlib v" not in first[path]
    entries[0] = Entry(replace(entries[0].result, ci_low=31.0), "first")
    assert digest_of(tmp_path / "figures" / "curves.png") != figure_of(CURVES, entries).digest


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (CURVES.replace("first", "third"), "nothing of the study 'third'"),
        (CURVES.replace("smug, modl", "smug, madl*"), r"no method 'madl\*'"),
        (CURVES.replace("start psnr_db", "end psnr_db"), "nothing in start"),
        (CURVES.replace("start psnr_db", "start 0.02 psnr_db"), "the words"),
        (CURVES.replace("steps: 10", ""), "10, 100 steps"),
        (CURVES + "scale: log\n", "0 on the log scale"),
        (CURVES.replace("curves.png", "../curves.png"), "cannot be read"),
        (CURVES + "colour: red\n", "cannot be read"),
        (CURVES + "\t:", "cannot be read"),
        (FAMILY.replace("smug-*-pair", "smug-0.05-pair"), "the line"),
        (FAMILY.replace("smug-*-pair", "s*"), "no number"),
        (FAMILY.replace("start 0.02", "start 0.5"), "nothing in attacked"),
        (TRADE_OFF.replace("start 0.02", "start 0.5"), "no method with both"),
        (TRADE_OFF.replace("trade.png", "curves.png"), "two pictures"),
    ],
)
def test_a_comment_that_cannot_be_followed_is_one_clear_error_and_nothing_is_written(
    entries: list[Entry], tmp_path: Path, said: str, found: str
) -> None:
    page = page_of(tmp_path, CURVES, said)
    with pytest.raises(DataError, match=rf"page\.md: .*{found}"):
        renew(page, entries)
    assert "![" not in page.read_text() and not (tmp_path / "figures").exists()


def test_without_matplotlib_tables_are_written_and_figures_left(
    entries: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = page_of(tmp_path, CURVES)
    table = "<!-- table\nstudy: first\ncolumns: {clean: clean 0 psnr_db}\n-->\nold table\n<!-- end -->\n"
    page.write_text(page.read_text() + table)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    renewed = renew(page, entries)
    assert (renewed.tables, renewed.drawn) == (1, [])
    (reason,) = renewed.left
    assert "curves.png" in reason and "smug-recon[figures]" in reason
    assert "-->\nold\n<!-- end" in page.read_text() and "| modl | 34.00 |" in page.read_text()


def test_the_figures_of_the_page_on_robustness_are_there_and_show_the_csv() -> None:
    page = (ROOT / "docs" / "robustness.md").read_text()
    entries = read_collected(ROOT / "benchmarks" / "robustness.csv")
    blocks = [found.groups() for found in BLOCK.finditer(page)]
    for _, kind, said, text, _ in blocks:
        if kind != "table":
            (name,) = re.findall(r"^file: (\S+)$", said, re.MULTILINE)
            path = ROOT / "docs" / "figures" / name
            assert f"(figures/{name})" in text and 0 < path.stat().st_size < LARGEST
            assert kind != "figure" or digest_of(path) == figure_of(said, entries).digest, (
                f"{name} shows other numbers: run smug-recon tabulate"
            )
    named = set(re.findall(r"!\[[^]]*\]\(figures/([^)]+)\)", page))
    assert named == {path.name for path in (ROOT / "docs" / "figures").iterdir()}
    assert {kind for _, kind, _, _, _ in blocks} == {"table", "figure", "example"}
