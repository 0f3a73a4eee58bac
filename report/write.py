"""Write ``report.html``: the template filled in, everything inside one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from smug_recon.pages.document import document
from smug_recon.replay.offline import REPORT_FILE
from smug_recon.report import pictures
from smug_recon.report.book import Book, read_book, without_names
from smug_recon.report.channels import NOISY, QUIET, channels, strongest_pair
from smug_recon.report.findings import findings, headline, provenance, scan_facts, title
from smug_recon.report.stack import evenly
from smug_recon.report.stages import SHADES, timeline
from smug_recon.report.viewers import beside_tab, page_label, page_turn, series_tabs
from smug_recon.whole_file import whole_file

MOST_MOSAICS = 5
"""Slices whose coil maps are shown."""


def write_report(folder: Path, free_text: bool = True) -> Path:
    """Make ``report.html`` from the folder of a replay and return its path.

    The file is complete in itself: no script, style, font or picture comes from anywhere else. It holds nothing of the
    patient but the images; without ``free_text`` neither the names that people gave to the scan and its coils. An earlier
    report stays until the new one is complete.

    Raises:
        ConfigurationError: there are no images in the folder.
    """
    book = read_book(folder)
    if not free_text:
        without_names(book)
    text = rendered(book)
    path = folder / REPORT_FILE
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return path


def rendered(book: Book) -> str:
    """The whole page as text."""
    shown = channels(book)
    found = findings(book, shown)
    level, head = headline(found)
    tabs, beside = series_tabs(book), beside_tab(book)
    viewers = [{"name": "series", "tabs": [tab.as_dict() for tab in tabs]}]
    if beside is not None:
        viewers.append({"name": "beside", "tabs": [beside.as_dict()]})
    values = {
        "title": title(book),
        "facts": scan_facts(book),
        "level": level,
        "headline": head,
        "findings": found,
        "tabs": tabs,
        "stills": [None if tab.still is None else pictures.png(tab.still) for tab in tabs],
        "beside": beside,
        "data": viewers,
        "maps": coil_pages(book),
        "gradient": pictures.gradient(),
        "sampling": sampling_of(book),
        "channels": shown,
        "correlation": correlation_of(book),
        "noise": book.notes.get("noise") or {},
        "limits": {"noisy": NOISY, "quiet": QUIET},
        "timeline": timeline(book.timing, book.notes),
        "shades": SHADES,
        "replay": book.timing.get("replay", {}),
        "provenance": provenance(book),
    }
    return document("smug_recon.report", "report", values, {"seconds": seconds_text})


def coil_pages(book: Book) -> list[dict[str, Any]]:
    """Coil maps and eigenvalues of some slices, the one in the middle first."""
    pages = book.notes.get("pages", [])
    there = [n for n in range(len(pages)) if f"page{n}_maps" in book.arrays]
    if not there:
        return []
    chosen = [there[n] for n in evenly(len(there), MOST_MOSAICS)]
    chosen.sort(key=lambda n: n != there[len(there) // 2])
    turn, found = page_turn(book), []
    for n in chosen:
        maps_cyx = turn(book.arrays[f"page{n}_maps"])
        eigenvalue = book.arrays.get(f"page{n}_eigenvalue")
        found.append(
            {
                "label": page_label(pages[n], pages),
                "coils": int(pages[n]["coils"]),
                "shown": len(maps_cyx),
                "maps": pictures.png(pictures.mosaic(maps_cyx)),
                "eigenvalue": None
                if eigenvalue is None
                else pictures.png(pictures.sequential((turn(eigenvalue) - 0.5) * 2)),
            }
        )
    return found


def sampling_of(book: Book) -> dict[str, Any] | None:
    """The sampling pattern of the first slice with a page."""
    for number, page in enumerate(book.notes.get("pages", [])):
        mask = book.arrays.get(f"page{number}_mask")
        if mask is not None:
            return {
                "picture": pictures.png(pictures.sampling(mask)),
                "two": mask.ndim == 2,
                "lines": int((mask > 0).sum()),
                "of": int(mask.size),
                "calibration": int((mask == 2).sum()),
                "rate": mask.size / max(int((mask > 0).sum()), 1),
                "label": page_label(page, book.notes["pages"]),
                "rows": int(mask.shape[0]),
                "columns": int(mask.shape[-1]),
            }
    return None


def correlation_of(book: Book) -> dict[str, Any] | None:
    """The noise correlation of the channels as a picture, and the strongest pair."""
    covariance_cc = book.arrays.get("covariance_cc")
    if covariance_cc is None:
        return None
    pair = strongest_pair(book)
    return {
        "picture": pictures.png(pictures.matrix_picture(pictures.correlation(np.asarray(covariance_cc)))),
        "channels": len(covariance_cc),
        "pair": pair,
    }


def seconds_text(value: float) -> str:
    """Seconds with three digits that matter."""
    if value < 0.1:
        return f"{value * 1e3:.1f} ms" if value < 0.01 else f"{value * 1e3:.0f} ms"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s" if value < 100 else f"{value:.0f} s"
