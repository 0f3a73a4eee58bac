"""The noise scan of a raw scan that has none of its own: in another group of its file, or in a file of its own.

Receive channels are put in the order of the imaging scan (:mod:`smug_recon.replay.reading.coils`); those that it does not have
are left out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ismrmrd
import numpy as np

from smug_recon.errors import DataError, HeaderError
from smug_recon.replay.hdf5.tables import NOISE
from smug_recon.replay.messages import wire
from smug_recon.replay.messages.header import parse_header
from smug_recon.replay.messages.source import Raw
from smug_recon.replay.reading.coils import channel_order, coil_names
from smug_recon.replay.reading.convert import other_measurements

log = logging.getLogger(__name__)

#: noise readouts are numbered down from here, so that their counters are none of the imaging scan
LAST_COUNTER = 2**32 - 1


@dataclass(frozen=True)
class NoiseReadouts:
    """Noise readouts with the channels of the imaging scan; ``source`` says where they come from."""

    readouts: list[ismrmrd.Acquisition]
    source: str

    def blocks(self) -> Iterator[wire.Block]:
        """The readouts as messages, to be sent before those of the imaging scan."""
        for readout in self.readouts:
            mark = wire.ACQUISITION.to_bytes(2, "little")
            yield wire.Block(mark + readout.to_bytes(), acquisitions=1)

    def before(self, heads: np.ndarray) -> np.ndarray:
        """A table of acquisition headers with these instead of its own noise readouts."""
        own = np.frombuffer(b"".join(bytes(readout.getHead()) for readout in self.readouts), heads.dtype)
        return np.concatenate([own, imaging_heads(heads)])


def noise_scan(
    raw: Raw,
    path: Path | str,
    header: ismrmrd.xsd.ismrmrdHeader,
    heads: np.ndarray | None,
    given: Path | str | None = None,
) -> NoiseReadouts | None:
    """The noise scan to send before a scan: that of the file ``given``, else one beside it in its own file.

    ``heads`` is the table of acquisition headers, None where they are not known in advance. DataError.
    """
    if given is not None:
        return noise_from_file(given, header, _channels(header, heads))
    if heads is None:
        return None
    return noise_beside(raw, path, header, heads) or noise_before(path, header, heads)


def heads_with_noise(
    path: Path | str,
    group: str | None,
    header: ismrmrd.xsd.ismrmrdHeader,
    heads: np.ndarray,
    given: Path | str | None = None,
) -> np.ndarray:
    """The table of acquisition headers of a raw scan as it will be sent, with its noise scan. DataError."""
    from smug_recon.replay.reading.raw import open_raw

    with open_raw(path, group) as raw:
        found = noise_scan(raw, path, header, heads, given)
    return heads if found is None else found.before(heads)


def imaging_heads(heads: np.ndarray) -> np.ndarray:
    """The acquisition headers without those of noise readouts."""
    return heads[heads["flags"] & np.uint64(NOISE) == 0]


def noise_from_file(path: Path | str, header: ismrmrd.xsd.ismrmrdHeader, channels: int) -> NoiseReadouts:
    """The noise scan in another raw file (ISMRMRD HDF5 or stream), for the coils of ``header``.

    Raises:
        DataError: no noise readouts in it, or not the coils of the imaging scan.
    """
    from smug_recon.replay.reading.raw import open_raw

    with open_raw(path) as raw:
        return _taken(raw, header, channels, Path(path).name)


def noise_beside(
    raw: Raw, path: Path | str, header: ismrmrd.xsd.ismrmrdHeader, heads: np.ndarray
) -> NoiseReadouts | None:
    """The noise scan in another group of the same HDF5 file, None where the scan has its own or there is none.

    Taken is the group that the header names (``measurementDependency`` of type Noise, by measurement ID), else
    the only group with nothing but noise readouts. One whose coils do not fit is left out with a warning.
    """
    if (heads["flags"] & np.uint64(NOISE) != 0).any():
        return None
    wanted = dependencies(header)
    name = _group_of(raw, wanted)
    if name is None:
        if wanted:
            log.warning(
                "the header names a noise scan (measurement %s) that is not in this file: give it with --noise",
                " or ".join(wanted),
            )
        return None
    from smug_recon.replay.reading.raw import open_raw

    try:
        with open_raw(path, name) as other:
            return _taken(other, header, _channels(header, heads), f"group {name}")
    except DataError as error:
        log.warning("the noise scan in group %s is not used: %s", name, error)
        return None


def noise_before(
    path: Path | str, header: ismrmrd.xsd.ismrmrdHeader, heads: np.ndarray
) -> NoiseReadouts | None:
    """The noise scan among the measurements of a Siemens file before the last one, None if there is none."""
    if (heads["flags"] & np.uint64(NOISE) != 0).any():
        return None
    for measurement in other_measurements(Path(path)):
        try:
            return noise_from_file(measurement, header, _channels(header, heads))
        except DataError as error:
            log.info("no noise scan in %s: %s", measurement.name, error)
    return None


def dependencies(header: ismrmrd.xsd.ismrmrdHeader) -> list[str]:
    """The measurement IDs of the noise scans that a header depends on."""
    about = header.measurementInformation
    found = list(getattr(about, "measurementDependency", None) or [])
    return [str(each.measurementID) for each in found if str(each.dependencyType).strip().lower() == "noise"]


def without_noise(blocks: Iterator[wire.Block]) -> Iterator[wire.Block]:
    """The same messages without noise readouts."""
    for block in blocks:
        read, kept, acquisitions = wire.cursor(block.payload), [], 0
        for _ in range(block.acquisitions + block.others):
            message_id = wire.read_id(read)
            body = wire.read_body(message_id, read)
            if message_id == wire.ACQUISITION:
                if int.from_bytes(body[0][2:10], "little") & NOISE:
                    continue
                acquisitions += 1
            kept += [message_id.to_bytes(2, "little"), *body]
        others = block.others
        yield wire.Block(b"".join(kept), acquisitions, others)


def _group_of(raw: Raw, wanted: list[str]) -> str | None:
    others = list(raw.other_scans())
    for other in others if wanted else ():
        if _measurement(other.header_xml) in wanted:
            return other.name
    quiet = [other.name for other in others if other.noise_only]
    return quiet[0] if len(quiet) == 1 else None


def _measurement(xml: bytes) -> str | None:
    """The measurement ID in a header, None if there is none or the header cannot be read."""
    try:
        about = parse_header(xml)[0].measurementInformation
    except HeaderError:
        return None
    return None if about is None or about.measurementID is None else str(about.measurementID)


def _channels(header: ismrmrd.xsd.ismrmrdHeader, heads: np.ndarray | None) -> int:
    """Receive channels of the imaging scan: as in its readouts, else as in its header."""
    if heads is not None and len(imaging := imaging_heads(heads)):
        return int(imaging["active_channels"].max())
    return int(
        getattr(header.acquisitionSystemInformation, "receiverChannels", None) or len(coil_names(header))
    )


def _taken(raw: Raw, header: ismrmrd.xsd.ismrmrdHeader, channels: int, source: str) -> NoiseReadouts:
    own = parse_header(raw.header_xml)[0]
    items = wire.items(raw.blocks())
    found = [item for item in items if isinstance(item, ismrmrd.Acquisition) and item.flags & NOISE]
    if not found:
        raise DataError(
            f"no readouts flagged as noise in {source}",
            "a noise scan (ACQ_IS_NOISE_MEASUREMENT)",
            "give the raw file of the noise measurement",
        )
    measured = {int(readout.active_channels) for readout in found}
    if len(measured) > 1:
        raise DataError(
            f"noise readouts of {' and '.join(map(str, sorted(measured)))} coils in {source}",
            "one noise scan of one receive configuration",
            "remove the noise readouts of the other measurement",
        )
    order = channel_order(coil_names(header), coil_names(own), channels, measured.pop())
    readouts = [
        _reordered(readout, order, LAST_COUNTER - len(found) + number) for number, readout in enumerate(found)
    ]
    return NoiseReadouts(readouts, source)


def _reordered(readout: ismrmrd.Acquisition, order: list[int], counter: int) -> ismrmrd.Acquisition:
    made = ismrmrd.Acquisition.from_array(np.ascontiguousarray(readout.data[order]))
    made.sample_time_us, made.center_sample = readout.sample_time_us, readout.center_sample
    made.discard_pre, made.discard_post = readout.discard_pre, readout.discard_post
    made.acquisition_time_stamp, made.scan_counter = readout.acquisition_time_stamp, counter
    made.setFlag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    return made
