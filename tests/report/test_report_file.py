"""The report as a file: complete in itself, escaped, without patient data, bounded, honest about what is missing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_model import make_model
from report_scans import HOSTILE, hostile_xml, replayed

from smug_recon.errors import ConfigurationError
from smug_recon.report import write_report
from smug_recon.report.book import read_book
from smug_recon.report.channels import channels
from smug_recon.report.viewers import beside_tab, series_tabs


class Page(HTMLParser):
    """Tags with their attributes, and the text of everything but scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open):
            self.text.append(data)

    @property
    def words(self) -> str:
        """The text in one line."""
        return " ".join(" ".join(self.text).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def test_everything_is_inside_the_file(tmp_path: Path, model: Any) -> None:
    text = write_report(replayed(tmp_path, model)).read_text(encoding="utf-8")
    page = Page(text)
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            address = attributes.get(name) or "data:"
            assert address.startswith(("data:", "#")), address
    assert "url(" not in text and "@import" not in text and "fetch(" not in text and "XMLHttp" not in text
    assert not page.all("iframe") and not page.all("object")
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv"))
    assert policy and "default-src 'none'" in policy


def test_what_the_header_says_stays_text(tmp_path: Path, model: Any) -> None:
    folder = replayed(tmp_path, model, 2, hostile_xml(2), warnings=(f"odd {HOSTILE}",))
    page = page_of(folder)
    assert len(page.all("script")) == 2  # data and program
    assert not any(attributes.get("src") == "x" for attributes in page.all("img"))
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert HOSTILE.split("&amp;")[0] in "".join(page.text)


def test_nothing_of_the_patient_but_the_images(tmp_path: Path, model: Any) -> None:
    text = write_report(replayed(tmp_path, model, 2, hostile_xml(2))).read_text(encoding="utf-8")
    pixels_aside = re.sub(r"[A-Za-z0-9+/=]{200,}", "", text)
    for secret in ("DOE", "JANE", "MRN-4711"):
        assert secret not in pixels_aside, pixels_aside[pixels_aside.index(secret) - 80 :][:200]
    assert str(tmp_path) not in text
    text = write_report(tmp_path, free_text=False).read_text(encoding="utf-8")
    assert "hacked" not in text and "<h1>Scan</h1>" in text and "Reconstructed" not in text


def test_warnings_and_fallbacks_come_first(tmp_path: Path, model: Any) -> None:
    model.broken = True
    page = page_of(replayed(tmp_path, model, 2, warnings=("something odd",)))
    words = page.words
    assert words.index("2 of 2 images are CG-SENSE in place of the network") < words.index("Something odd.")
    assert words.index("Something odd.") < words.index("Beside the conventional reconstruction")
    assert next(a for _, a in page.tags if a.get("class") == "health")["data-level"] == "bad"


def test_a_scan_that_went_well_says_so(tmp_path: Path, model: Any) -> None:
    folder = replayed(tmp_path, model, 2)
    timing = (folder / "timing.json").read_text()
    (folder / "timing.json").write_text(re.sub(r'"warnings": \[[^\]]*\]', '"warnings": []', timing))
    page = page_of(folder)
    assert (
        "Receive channel 1 (counted from 0): noisy" in page.words
    )  # the noise root of the scan has it five times
    assert "2 of 2 images" not in page.words


def test_what_made_the_images_stands_at_the_foot(tmp_path: Path, model: Any) -> None:
    words = page_of(replayed(tmp_path, model, 2)).words
    foot = words[words.index("How these images were made") :]
    for text in ("0" * 64, "a" * 64, "smug-brain-4x", "Seed 0", "Device cpu", "1 234 567 bytes"):
        assert text in foot, text
    from smug_recon.pipeline import load_pipeline

    assert load_pipeline().sha256 in foot


def test_channels_are_judged_by_their_noise(tmp_path: Path, model: Any) -> None:
    found = channels(read_book(replayed(tmp_path, model, 2)))
    assert [channel.level for channel in found] == ["good", "care", "good", "good"]
    levels = [channel.noise for channel in found]
    assert levels[1] == max(levels, key=lambda level: level or 0) and 3 < (levels[1] or 0) < 6
    assert max(channel.signal or 0 for channel in found) == 1.0


def test_the_comparison_is_of_the_same_slices_in_the_units_of_the_images(tmp_path: Path, model: Any) -> None:
    from smug_recon.report.stack import unpacked

    book = read_book(replayed(tmp_path, model, 3))
    tab, (series,) = beside_tab(book), series_tabs(book)
    assert tab is not None and [panel.title for panel in tab.panels] == [
        "SMUG",
        "CG-SENSE",
        "difference",
        "uncertainty",
    ]
    smug, conventional = tab.panels[0], tab.panels[1]
    for number in range(3):
        ours = unpacked(smug.planes[number] or {}, smug.slope)
        theirs = unpacked(conventional.planes[number] or {}, conventional.slope)
        left = unpacked(series.panels[0].planes[number] or {}, series.panels[0].slope)
        assert np.abs(ours - left).max() <= 1.01  # rounding to whole numbers on both sides
        inside = theirs > 0.3 * theirs.max()
        assert np.median(ours[inside] / theirs[inside]) == pytest.approx(0.9, abs=0.03)
    assert tab.labels == series.labels == ["slice 1", "slice 2", "slice 3"]


def test_without_a_notebook_there_are_images_and_a_word_about_it(tmp_path: Path, model: Any) -> None:
    page = page_of(replayed(tmp_path, model, 2, notebook=False))
    assert "The chain kept nothing for this report" in page.words
    assert "Beside the conventional" not in page.words and len(page.all("canvas")) == 1


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04nothing", None])
def test_a_damaged_notebook_is_left_aside(
    damage: bytes | None, tmp_path: Path, model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    folder = replayed(tmp_path, model, 1)
    path = folder / "report.npz"
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    assert "The chain kept nothing" in page_of(folder).words
    assert "report.npz cannot be read" in caplog.text


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no images\.h5"):
        write_report(tmp_path)


def test_a_long_scan_makes_no_larger_report(tmp_path: Path) -> None:
    from report_scans import header_xml

    from smug_recon.replay.results.images import ImageFile

    source = replayed(tmp_path, make_model(), 1)
    book = read_book(source)
    (_, image) = next(book.images("images_1", {0}))
    folder = tmp_path / "long"
    folder.mkdir()
    rng = np.random.default_rng(0)
    with ImageFile(folder / "images.h5", header_xml(slices=1).encode()) as file:
        for repetition in range(150):
            image.setHead(head_of(image, repetition))
            image.data[:] = rng.integers(0, 4000, image.data.shape)
            file.append(image)
        file.finish()
    path = write_report(folder)
    assert path.stat().st_size < 1_000_000
    assert "60 of 150 images, evenly spread" in Page(path.read_text(encoding="utf-8")).words


def head_of(image: Any, repetition: int) -> Any:
    head = image.getHead()
    head.repetition = repetition
    return head


def test_the_command_writes_it_again(
    tmp_path: Path, model: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from smug_recon.__main__ import main

    folder = replayed(tmp_path, model, 1, hostile_xml(1))
    write_report(folder)
    before = (folder / "report.html").read_bytes()
    for options in ([], ["--anonymise"]):
        monkeypatch.setattr("sys.argv", ["smug-recon", "report", str(folder), *options])
        with pytest.raises(SystemExit) as left:
            main()
        assert not left.value.code and str(folder / "report.html") in capsys.readouterr().out
        assert ((folder / "report.html").read_bytes() == before) == (not options)
    assert not list(folder.glob("*.incomplete"))
