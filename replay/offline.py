"""Offline replay: a raw scan goes through the node over the real protocol; images come out."""

from __future__ import annotations

import contextlib
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ismrmrd

from smug_recon.configuration import MODULE
from smug_recon.errors import DataError
from smug_recon.gadgets.flow.observer import VARIABLE as NOTEBOOK
from smug_recon.replay.checked import Load, Scan, checked_scan
from smug_recon.replay.host.client import PATIENCE_S, Item, play
from smug_recon.replay.host.configuration import configuration_element
from smug_recon.replay.host.node import Node
from smug_recon.replay.messages.header import for_the_node
from smug_recon.replay.messages.source import Raw
from smug_recon.replay.reading.fingerprint import fingerprint
from smug_recon.replay.reading.raw import open_raw
from smug_recon.replay.reading.spooled import SpoolRaw, settings_of
from smug_recon.replay.results.disk import written_to
from smug_recon.replay.results.images import ImageFile
from smug_recon.replay.results.outputs import write_all_dicom, write_all_nifti, write_all_previews
from smug_recon.replay.results.timing import VARIABLE, read_timing, write_timing
from smug_recon.spool.keeping import VARIABLE as SPOOL

Progress = Callable[[int, int | None, int], None]
"""Called with acquisitions sent, acquisitions of the scan (None if unknown) and images received."""
StartNode = Callable[[Path, str, str, Mapping[str, str]], Node]
"""Starts a node: its log, module, target and environment."""

NOTEBOOK_FILE, REPORT_FILE = "report.npz", "report.html"


@dataclass(frozen=True)
class ReplayResult:
    """What a replay left behind; ``series`` counts the images of each group in ``images``."""

    images: Path
    series: Mapping[str, int]
    acquisitions: int
    fallbacks: int
    timing: Mapping[str, Any]
    passed_on: int = 0
    previews: list[Path] = field(default_factory=list)
    dicom: list[Path] = field(default_factory=list)
    nifti: list[Path] = field(default_factory=list)
    cut: str = ""
    """Why the scan is not whole; empty unless a spool breaks off."""


def replay(
    raw: Path | str,
    out: Path,
    pipeline: Path | str | None = None,
    *,
    overrides: Mapping[str, str] | None = None,
    group: str | None = None,
    noise: Path | str | None = None,
    dicom: bool = True,
    preview: bool = True,
    nifti: bool = False,
    notebook: bool = False,
    dicom_options: Mapping[str, Any] | None = None,
    patience_s: float = PATIENCE_S,
    progress: Progress = lambda acquisitions, total, images: None,
    target: tuple[str, str] = (MODULE, "reconstruct"),
    start: StartNode | None = None,
    load: Load | None = None,
) -> ReplayResult:
    """Reconstruct a raw scan; write ``images.h5``, ``dicom/``, ``preview/``, ``timing.json``, ``node.log``.

    ``nifti`` writes ``nifti/`` as well; ``dicom_options`` are those of ``smug_recon.dicom.write_dicom``.

    ``notebook`` writes ``report.npz``, what ``smug_recon.report`` shows beyond the images; what a report of an earlier run
    left is removed.

    ``noise`` is a raw file with the noise scan; it replaces one in the scan itself. Without it, and without noise
    readouts in the scan, the noise scan is sought in the other groups of the same HDF5 file.

    Of a spool the settings are those of its session unless ``pipeline`` is given; one that breaks off in mid-scan gives
    the slices that were complete.

    ``start`` starts the node and ``load`` loads the model that the scan is checked against, for who keeps both from one
    scan to the next.

    Pipeline, model, device and header are checked first, then the node runs as a second process. Any error of
    ``errors.py``; an ``images.h5`` of an earlier run stays until the new one is complete.
    """
    started = time.perf_counter()
    configuration = configuration_element(pipeline or settings_of(raw), overrides or {})
    with open_raw(raw, group) as source:
        if isinstance(source, SpoolRaw):
            target = (target[0], source.target)
        scan = checked_scan(source, raw, group, noise, configuration, load)
        checked = time.perf_counter()
        with written_to(out):
            out.mkdir(parents=True, exist_ok=True)
        answer, timing = _through_the_node(
            source, scan, out, configuration, target, notebook, patience_s, progress, start
        )
    returned = time.perf_counter()
    file = answer.file
    with written_to(out):
        previews = write_all_previews(file, out / "preview") if preview else []
        files = write_all_dicom(file, scan.header, out / "dicom", **(dicom_options or {})) if dicom else []
        volumes = write_all_nifti(file, scan.header, out / "nifti") if nifti else []
    ended = time.perf_counter()
    timing["replay"] = {
        "check": round(checked - started, 6),
        "node": round(returned - checked, 6),
        "previews and DICOM": round(ended - returned, 6),
    }
    if source.cut:
        timing["cut"] = source.cut
    if notebook:
        timing["source"] = fingerprint(raw)
    with written_to(out):
        write_timing(out / "timing.json", timing)
    return ReplayResult(
        images=file.path,
        series=dict(file.counts),
        acquisitions=answer.sent,
        fallbacks=max(answer.fallbacks, int(timing.get("fallbacks", 0))),
        timing=timing,
        passed_on=answer.passed_on,
        previews=previews,
        dicom=files,
        nifti=volumes,
        cut=source.cut,
    )


@dataclass
class _Answer:
    """What came back from the node."""

    file: ImageFile
    sent: int = 0
    fallbacks: int = 0
    passed_on: int = 0

    def receive(self, item: Item) -> None:
        if isinstance(item, ismrmrd.Image):
            self.file.append(item)
            self.fallbacks += is_fallback(item)
        else:
            self.passed_on += 1


def _through_the_node(
    source: Raw,
    scan: Scan,
    out: Path,
    configuration: ET.Element,
    target: tuple[str, str],
    notebook: bool,
    patience_s: float,
    progress: Progress,
    start: StartNode | None = None,
) -> tuple[_Answer, dict[str, Any]]:
    """Run the node over a scan: the images in ``images.h5``, the notebook in its place, and the timing."""
    node_timing = (out / "timing.node.json").resolve()
    node_notebook = (out / "report.node.npz").resolve()
    environment = {
        VARIABLE: str(node_timing),
        SPOOL: "",
        NOTEBOOK: str(node_notebook) if notebook else "",
    }
    with (
        removed_at_the_end(node_timing),
        removed_at_the_end(node_notebook),
        ImageFile(out / "images.h5", scan.header_xml) as file,
        (start or Node)(out / "node.log", *target, environment) as node,
    ):
        answer = _Answer(file)
        answer.sent = play(
            node,
            ET.tostring(configuration, encoding="utf-8"),
            for_the_node(scan.header, scan.header_xml),
            scan.blocks,
            answer.receive,
            lambda acquisitions: progress(acquisitions, source.acquisitions, sum(file.counts.values())),
            patience_s,
            lambda: source.whole,
        )
        if not file.counts:
            of_what = f" of a scan that breaks off ({source.cut})" if source.cut else ""
            raise DataError(
                f"no image from {answer.sent} acquisitions{of_what}",
                "at least one complete slice",
                f"read {node.log}",
            )
        file.finish()
        timing = read_timing(node_timing)
        for name in (NOTEBOOK_FILE, REPORT_FILE):
            (out / name).unlink(missing_ok=True)
        if node_notebook.exists():
            node_notebook.replace(out / NOTEBOOK_FILE)
    return answer, timing


def is_fallback(image: ismrmrd.Image) -> bool:
    """Whether the node says that this image is not what was asked for."""
    roles = image.meta.get("DataRole", [])
    return "FALLBACK" in (roles if isinstance(roles, list) else [roles])


@contextlib.contextmanager
def removed_at_the_end(path: Path) -> Iterator[None]:
    """A file that is not there before and not there after."""
    path.unlink(missing_ok=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
