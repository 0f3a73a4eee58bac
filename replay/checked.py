"""A raw scan held against the pipeline, before any node is started."""

from __future__ import annotations

import itertools
import logging
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import ismrmrd
import numpy as np

from smug_recon.pipeline import pipeline_of
from smug_recon.replay.messages.header import parse_header
from smug_recon.replay.messages.source import Raw
from smug_recon.replay.messages.wire import Block
from smug_recon.replay.reading.heads import read_heads
from smug_recon.replay.reading.noise import noise_scan, without_noise

if TYPE_CHECKING:
    from smug_recon.gadgets.model.file import Model

log = logging.getLogger(__name__)

Load: TypeAlias = "Callable[[Path, str, str], Model]"
"""Gives the model of a file, a hash and a device."""


@dataclass(frozen=True)
class Scan:
    """What goes to the node."""

    header: ismrmrd.xsd.ismrmrdHeader
    header_xml: bytes
    blocks: Iterator[Block]


def checked_scan(
    source: Raw,
    raw: Path | str,
    group: str | None,
    noise: Path | str | None,
    configuration: ET.Element,
    load: Load | None = None,
) -> Scan:
    """Put the noise scan in front and hold everything against the pipeline, before the node is started."""
    header, header_xml = parse_header(source.header_xml)
    heads = source.heads() if source.again else None
    if heads is None and Path(raw).is_file():
        heads = read_heads(raw, group)[1]
    found = noise_scan(source, raw, header, heads, noise)
    if found is not None and heads is not None:
        heads = found.before(heads)
    for warning in check(header, configuration, heads, load):
        log.warning("%s", warning)
    blocks = source.blocks()
    if found is not None:
        blocks = itertools.chain(found.blocks(), without_noise(blocks) if noise else blocks)
    return Scan(header, header_xml, blocks)


def check(
    header: ismrmrd.xsd.ismrmrdHeader,
    configuration: ET.Element,
    heads: np.ndarray | None,
    load: Load | None = None,
) -> Iterable[str]:
    """The checks of ``smug-recon check --raw``, before the node is started; their warnings.

    Of a pipe only the header is known in advance (``heads`` is None).
    """
    from smug_recon.gadgets.header.plan import build_plan
    from smug_recon.gadgets.model.absent import model_of
    from smug_recon.gadgets.survey.heads import survey

    pipeline = pipeline_of(configuration)
    plan = build_plan(header, pipeline)
    found = survey(heads, plan, header).warnings if heads is not None else ()
    model = model_of(pipeline, load)
    return dict.fromkeys((*build_plan(header, pipeline, model.card).warnings, *found))
