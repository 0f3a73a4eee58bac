"""Offline replay: a raw scan goes through the node over the real protocol; images come out."""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np

from smug_recon.configuration import MODULE, pipeline_of
from smug_recon.dicom import write_dicom, write_nifti
from smug_recon.errors import DataError
from smug_recon.gadgets.observer import VARIABLE as NOTEBOOK
from smug_recon.replay.animation import write_animations
from smug_recon.replay.client import PATIENCE_S, Item, play
from smug_recon.replay.configuration import configuration_element
from smug_recon.replay.disk import all_or_none, clear, written_to
from smug_recon.replay.fingerprint import fingerprint
from smug_recon.replay.header import for_the_node, parse_header
from smug_recon.replay.heads import read_heads
from smug_recon.replay.images import ImageFile, read_images
from smug_recon.replay.node import Node
from smug_recon.replay.noise import noise_scan, without_noise
from smug_recon.replay.preview import write_previews
from smug_recon.replay.raw import open_raw
from smug_recon.replay.spooled import SpoolRaw, settings_of
from smug_recon.replay.timing import VARIABLE, read_timing, write_timing
from smug_recon.spool.keeping import VARIABLE as SPOOL

Progress = Callable[[int, int | None, int], None]
"""Called with acquisitions sent, acquisitions of the scan (None if unknown) and images received."""

log = logging.getLogger(__name__)

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
) -> ReplayResult:
    """Reconstruct a raw scan; write ``images.h5``, ``dicom/``, ``preview/``, ``timing.json``, ``node.log``.

    ``nifti`` writes ``nifti/`` as well; ``dicom_options`` are those of ``smug_recon.dicom.write_dicom``.

    ``notebook`` writes ``report.npz``, what ``smug_recon.report`` shows beyond the images; what a report of an earlier run
    left is removed.

    ``noise`` is a raw file with the noise scan; it replaces one in the scan itself. Without it, and without noise
    readouts in the scan, the noise scan is sought in the other groups of the same HDF5 file.

    Of a spool the settings are those of its session unless ``pipeline`` is given; one that breaks off in mid-scan gives
    the slices that were complete.

    Pipeline, model, device and header are checked first, then the node runs as a second process. Any error of
    ``errors.py``; an ``images.h5`` of an earlier run stays until the new one is complete.
    """
    started = time.perf_counter()
    configuration = configuration_element(pipeline or settings_of(raw), overrides or {})
    with open_raw(raw, group) as source:
        spool = source if isinstance(source, SpoolRaw) else None
        if spool is not None:
            target = (target[0], spool.target)
        header, header_xml = parse_header(source.header_xml)
        heads = read_heads(raw, group)[1] if Path(raw).is_file() else None
        scan = noise_scan(source, raw, header, heads, noise)
        if scan is not None and heads is not None:
            heads = scan.before(heads)
        for warning in check(header, configuration, heads):
            log.warning("%s", warning)
        checked = time.perf_counter()
        with written_to(out):
            out.mkdir(parents=True, exist_ok=True)
        node_timing = (out / "timing.node.json").resolve()
        node_notebook = (out / "report.node.npz").resolve()
        environment = {
            VARIABLE: str(node_timing),
            SPOOL: "",
            NOTEBOOK: str(node_notebook) if notebook else "",
        }
        passed_on = fallbacks = 0
        with (
            removed_at_the_end(node_timing),
            removed_at_the_end(node_notebook),
            ImageFile(out / "images.h5", header_xml) as file,
            Node(out / "node.log", *target, environment=environment) as node,
        ):

            def receive(item: Item) -> None:
                nonlocal passed_on, fallbacks
                if isinstance(item, ismrmrd.Image):
                    file.append(item)
                    fallbacks += is_fallback(item)
                else:
                    passed_on += 1

            sent = play(
                node,
                ET.tostring(configuration, encoding="utf-8"),
                for_the_node(header, header_xml),
                itertools.chain(scan.blocks(), without_noise(source.blocks()) if noise else source.blocks())
                if scan is not None
                else source.blocks(),
                receive,
                lambda acquisitions: progress(acquisitions, source.acquisitions, sum(file.counts.values())),
                patience_s,
                lambda: spool is None or spool.whole,
            )
            cut = spool.cut if spool is not None else ""
            if not file.counts:
                raise DataError(
                    f"no image from {sent} acquisitions{f' of a scan that breaks off ({cut})' if cut else ''}",
                    "at least one complete slice",
                    f"read {node.log}",
                )
            file.finish()
            timing = read_timing(node_timing)
            for name in (NOTEBOOK_FILE, REPORT_FILE):
                (out / name).unlink(missing_ok=True)
            if node_notebook.exists():
                node_notebook.replace(out / NOTEBOOK_FILE)
    returned = time.perf_counter()
    with written_to(out):
        previews = write_all_previews(file, out / "preview") if preview else []
        files = write_all_dicom(file, header, out / "dicom", **(dicom_options or {})) if dicom else []
        volumes = write_all_nifti(file, header, out / "nifti") if nifti else []
    ended = time.perf_counter()
    timing["replay"] = {
        "check": round(checked - started, 6),
        "node": round(returned - checked, 6),
        "previews and DICOM": round(ended - returned, 6),
    }
    if cut:
        timing["cut"] = cut
    if notebook:
        timing["source"] = fingerprint(raw)
    with written_to(out):
        write_timing(out / "timing.json", timing)
    fallbacks = max(fallbacks, int(timing.get("fallbacks", 0)))
    counts = dict(file.counts)
    return ReplayResult(file.path, counts, sent, fallbacks, timing, passed_on, previews, files, volumes, cut)


def check(
    header: ismrmrd.xsd.ismrmrdHeader, configuration: ET.Element, heads: np.ndarray | None
) -> Iterable[str]:
    """The checks of ``smug-recon check --raw``, before the node is started; their warnings.

    Of a pipe only the header is known in advance (``heads`` is None).
    """
    from smug_recon.gadgets.absent import model_of
    from smug_recon.gadgets.plan import build_plan
    from smug_recon.gadgets.survey import survey

    pipeline = pipeline_of(configuration)
    plan = build_plan(header, pipeline)
    found = survey(heads, plan, header).warnings if heads is not None else ()
    model = model_of(pipeline)
    return dict.fromkeys((*build_plan(header, pipeline, model.card).warnings, *found))


def is_fallback(image: ismrmrd.Image) -> bool:
    """Whether the node says that this image is not what was asked for."""
    roles = image.meta.get("DataRole", [])
    return "FALLBACK" in (roles if isinstance(roles, list) else [roles])


def write_all_previews(file: ImageFile, folder: Path) -> list[Path]:
    """Previews of every series, and films of what moves, those of an earlier run removed."""
    clear(folder, "*.png")
    clear(folder, "*.gif")
    written: list[Path] = []
    for group in file.counts:
        written += write_previews(read_images(file.path, group), folder, group)
        written += write_animations(read_images(file.path, group), folder, group, stack=False)
    return written


def write_all_dicom(
    file: ImageFile, header: ismrmrd.xsd.ismrmrdHeader, folder: Path, **options: Any
) -> list[Path]:
    """DICOM files of every series, those of an earlier run removed; ``options`` as ``dicom.write_dicom``.

    All of them or none: part of a series looks like a whole one.
    """
    images = itertools.chain.from_iterable(read_images(file.path, group) for group in file.counts)
    with all_or_none(folder, "*.dcm"):
        return write_dicom(images, header, folder, **options)


def write_all_nifti(file: ImageFile, header: ismrmrd.xsd.ismrmrdHeader, folder: Path) -> list[Path]:
    """NIfTI files of every series, those of an earlier run removed."""
    images = itertools.chain.from_iterable(read_images(file.path, group) for group in file.counts)
    with all_or_none(folder, "*.nii.gz"), all_or_none(folder, "*.json"):
        return write_nifti(images, header, folder)


@contextlib.contextmanager
def removed_at_the_end(path: Path) -> Iterator[None]:
    """A file that is not there before and not there after."""
    path.unlink(missing_ok=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
