"""A raw scan as a stream in, images as a stream out, through the chain in this very process.

Two threads: the main one reconstructs, writes and hears signals; another one reads on meanwhile (``gadgets/read_on.py``),
wherever its wait for the source can be ended (``Raw.halt``): that for a pipe by a second pipe (``reading/haltable.py``), that
for HDF5 by the process that reads it (``hdf5/child.py``). So neither a signal nor an error is held up by a source that is
silent, and no thread is left behind in a read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ismrmrd

from smug_recon.errors import DataError
from smug_recon.pipeline import pipeline_of
from smug_recon.replay.host.configuration import configuration_element
from smug_recon.replay.messages.header import parse_header
from smug_recon.replay.messages.source import Raw
from smug_recon.replay.pipe import MessagePipe
from smug_recon.replay.reading.noise import noise_scan

if TYPE_CHECKING:
    from smug_recon.gadgets.flow.timing import Report
    from smug_recon.gadgets.model.file import Model

log = logging.getLogger(__name__)


def reconstruct_stream(
    source: Raw,
    output: MessagePipe,
    pipeline: Path | str | None = None,
    overrides: Mapping[str, str] | None = None,
    *,
    noise: Path | None = None,
    model: Model | None = None,
) -> Report:
    """Reconstruct an open raw scan; write the MRD header, the images and what passes by, and the end mark.

    Nothing is written before pipeline, header and model have been checked, and no end mark after an error.

    Raises:
        Any error of ``errors.py``; DataError too where the scan ends without an image.
    """
    from smug_recon.gadgets.flow.timing import Report
    from smug_recon.gadgets.scan import prepare, run

    report = Report()
    settings = pipeline_of(configuration_element(pipeline, overrides or {}))
    header, xml = parse_header(source.header_xml)
    _, model = report.call("prepare", prepare, header, settings, model)
    scan = noise_scan(source, "-", header, None, noise)
    images = 0

    def send(item: Any) -> None:
        nonlocal images
        images += isinstance(item, ismrmrd.Image)
        output.send(item)

    output.header(xml)
    items: Iterable[Any] = source.items()
    if scan is not None:
        items = _replaced(scan.readouts, items)
    run(items, send, header, settings, model, report, halt=source.halt)
    if not images:
        raise DataError(
            f"no image from {report.lines} lines", "at least one complete slice", "read the warnings above"
        )
    output.close()
    return report


def _replaced(noise: list[ismrmrd.Acquisition], items: Iterable[Any]) -> Iterator[Any]:
    """The noise readouts given, then all items but noise readouts."""
    yield from noise
    for item in items:
        if not (isinstance(item, ismrmrd.Acquisition) and item.isFlagSet(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)):
            yield item
