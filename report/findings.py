"""What belongs on top: warnings, fallbacks, what is missing; and the facts about the scan and the software below."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smug_recon.report.book import Book
from smug_recon.report.channels import Channel

MOST_WARNINGS, MOST_LETTERS = 40, 400
"""Texts on the page, and letters of each; more are counted, not shown."""


@dataclass(frozen=True)
class Finding:
    """One thing to know before looking at the images; ``level`` is care or bad."""

    level: str
    text: str


def findings(book: Book, channels: Iterable[Channel]) -> list[Finding]:
    """Everything that is not as it should be, the worst first."""
    found = [Finding("bad", text) for text in fallbacks(book)]
    if cut := book.timing.get("cut"):
        found.append(Finding("bad", f"The scan is not whole: {cut}. Only complete slices are here."))
    found += [
        Finding(channel.level, f"Receive channel {channel.number} (counted from 0): {channel.verdict}.")
        for channel in channels
        if channel.level != "good" and not channel.left_out  # of those that are left out the chain has warned
    ]
    warnings = together(str(text) for text in book.timing.get("warnings", []))
    found += [Finding("care", sentence(text[:MOST_LETTERS])) for text in warnings[:MOST_WARNINGS]]
    if len(warnings) > MOST_WARNINGS:
        found.append(
            Finding(
                "care", f"{len(warnings) - MOST_WARNINGS} further warnings: see timing.json and node.log."
            )
        )
    if not book.notes:
        found.append(
            Finding(
                "care",
                "The chain kept nothing for this report: there are images and times, no maps or noise.",
            )
        )
    return sorted(found, key=lambda entry: entry.level != "bad")


def together(texts: Iterable[str]) -> list[str]:
    """The texts, those that differ in the slice at their end alone as one."""
    alike: dict[str, list[str]] = {}
    for text in texts:
        start, found, number = text.rpartition(" of slice ")
        alike.setdefault(start if found and number.isdigit() else text, []).append(text)
    return [same[0] if len(same) == 1 else f"{start} of {len(same)} slices" for start, same in alike.items()]


def fallbacks(book: Book) -> list[str]:
    """How many images are not what was asked for, by what stands in their place and why."""
    reasons: Counter[tuple[str, str]] = Counter()
    total = 0
    for images in book.series.values():
        for about in images:
            total += 1
            if method := about["meta"].get("SmugFallback"):
                reason = str(about["meta"].get("SmugFallbackReason", "not told"))
                reasons[str(method), reason[:MOST_LETTERS]] += 1
    return [
        f"{count} of {total} images are {method} in place of the network: {reason}."
        for (method, reason), count in reasons.most_common(MOST_WARNINGS)
    ]


def headline(found: list[Finding]) -> tuple[str, str]:
    """Level and text of the banner."""
    bad, care = (sum(entry.level == level for entry in found) for level in ("bad", "care"))
    if bad:
        more = f", and {care} more to know" if care else ""
        return "bad", ("Look here first" if bad == 1 else f"{bad} findings to look at first") + more
    if care:
        return "care", "One thing to know" if care == 1 else f"{care} things to know"
    return "good", "No warnings, no fallbacks"


def scan_facts(book: Book) -> list[tuple[str, str]]:
    """The scan in a few numbers; nothing of the patient."""
    header, first = book.header, book.first
    system, sequence = header.acquisitionSystemInformation, header.sequenceParameters
    facts: list[tuple[str, str]] = []
    if system:
        field_t = f"{system.systemFieldStrength_T:.2f} T" if system.systemFieldStrength_T else ""
        maker = " ".join(filter(None, (system.systemVendor, system.systemModel, field_t)))
        facts += [("Scanner", maker)] * bool(maker)
    if sequence:
        for name, values, unit in (
            ("TR", sequence.TR, "ms"),
            ("TE", sequence.TE, "ms"),
            ("TI", sequence.TI, "ms"),
            ("Flip angle", sequence.flipAngle_deg, "°"),
        ):
            if values:
                shown = ", ".join(f"{value:g}" for value in list(values)[:6]) + (
                    " …" if len(values) > 6 else ""
                )
                facts.append((name, f"{shown} {unit}"))
    if header.encoding:
        recon = header.encoding[0].reconSpace
        size, fov = recon.matrixSize, recon.fieldOfView_mm
        depth = f" × {size.z}" if size.z > 1 else ""
        facts.append(("Matrix", f"{size.x} × {size.y}{depth}"))
        facts.append(("Field of view", f"{fov.x:.4g} × {fov.y:.4g} × {fov.z:.4g} mm"))
    meta = first["meta"]
    if "SmugLines" in meta:
        facts.append(("Lines", f"{meta['SmugLines']} (R = {meta.get('SmugAcceleration', '?')})"))
    if "SmugCoils" in meta:
        facts.append(("Coils", str(meta["SmugCoils"])))
    facts.append(("Images", str(sum(map(len, book.series.values())))))
    return facts


def title(book: Book) -> str:
    """Series description or protocol name of the scan."""
    about = book.header.measurementInformation
    return str((about.seriesDescription or about.protocolName or "") if about else "").strip()[:200] or "Scan"


def provenance(book: Book) -> list[tuple[str, str]]:
    """What made these images, so that they can be made again."""
    meta = book.first["meta"]
    source = book.timing.get("source") or {}
    rows = [
        ("smug-recon", said(meta, "SmugReconVersion")),
        ("torch", said(meta, "SmugTorchVersion")),
        ("Model", f"{said(meta, 'SmugModel')} {said(meta, 'SmugModelVersion', '')}".strip()),
        ("Model SHA-256", said(meta, "SmugModelSha256")),
        ("Pipeline", said(meta, "SmugPipeline")),
        ("Pipeline SHA-256", said(meta, "SmugPipelineSha256")),
        ("Seed", said(meta, "SmugSeed")),
        ("Smoothing copies", said(meta, "SmugSamples")),
        ("Device", said(meta, "SmugDevice")),
        ("Coils prewhitened", {"1": "yes", "0": "no"}.get(str(meta.get("SmugPrewhitened")), "not told")),
        ("Raw file SHA-256", str(source.get("sha256", "not told"))),
    ]
    if book.dated:
        made = datetime.fromtimestamp((book.folder / "images.h5").stat().st_mtime).astimezone()
        rows.insert(0, ("Reconstructed", made.strftime("%Y-%m-%d %H:%M:%S %z")))
    if "bytes" in source:
        rows.append(("Raw file", f"{int(source['bytes']):,} bytes".replace(",", " ")))
    if peak := book.timing.get("peak_rss_mb"):
        rows.append(("Memory of the node", f"at most {float(peak):.0f} MB"))
    return rows


def said(meta: dict[str, Any], name: str, otherwise: str = "not told") -> str:
    """A Meta entry as text."""
    return str(meta.get(name) or otherwise)


def sentence(text: str) -> str:
    """A text with a capital in front and a full stop behind."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")
