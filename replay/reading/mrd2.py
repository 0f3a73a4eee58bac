"""MRD 2 streams (binary yardl), read by ``mrd-python`` and written as an ISMRMRD stream.

The two headers have the same elements, ``encoded_space`` being ``encodedSpace``; the numbers of the flags are equal.
Source: github.com/ismrmrd/mrd, model 2.1 (times in us and ticks) and later (in ns).
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import logging
import typing
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import ismrmrd
import numpy as np
from xsdata.models.datatype import XmlDate, XmlTime

from smug_recon.errors import ConfigurationError, DataError, HeaderError, SmugReconError
from smug_recon.gadgets.flow.items import CALIBRATION
from smug_recon.replay.messages import wire

log = logging.getLogger(__name__)
TICK_NS = 2_500_000
NS_PER_US = 1000.0
COUNTERS = (
    *("kspace_encode_step_1", "kspace_encode_step_2", "average", "slice", "contrast", "phase"),
    *("repetition", "set", "segment"),
)


def to_ismrmrd_stream(source: BinaryIO, target: BinaryIO) -> None:
    """Read an MRD 2 stream to its end and write it as an ISMRMRD stream.

    Raises:
        ConfigurationError: mrd-python is not installed.
        HeaderError, DataError: no header, or something in the stream that is no raw data.
    """
    try:
        import mrd
    except ImportError:
        raise ConfigurationError(
            "an MRD 2 stream and no Python package mrd",
            "mrd-python (pip install mrd-python, or smug-recon[mrd2])",
            "install it, or convert the stream to ISMRMRD elsewhere",
        ) from None
    try:
        with mrd.BinaryMrdReader(source) as reader:
            header = reader.read_header()
            if header is None:
                raise HeaderError(
                    "an MRD 2 stream without a header", "the header of the scan", "write it again"
                )
            xml = ismrmrd.xsd.ToXML(_record(header, ismrmrd.xsd.ismrmrdHeader), encoding="utf-8").encode()
            target.write(wire.text_message(wire.HEADER, xml))
            for message_id, item in _items(reader.read_data()):
                target.write(message_id.to_bytes(2, "little") + item.to_bytes())
            target.write(wire.close_message())
    except SmugReconError:
        raise
    except Exception as error:  # mrd-python raises whatever comes of the bytes
        raise DataError(
            f"an MRD 2 stream that cannot be read ({type(error).__name__}: {error})",
            "a whole stream of the model that this mrd-python knows",
            "write or copy it again, or install the mrd-python that wrote it",
        ) from None


def _items(items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    left_out: dict[str, int] = {}
    for item in items:
        kind, value = type(item).__name__.rsplit(".", 1)[-1], item.value
        kind = getattr(type(item), "tag", kind)
        if kind == "Acquisition":
            yield wire.ACQUISITION, _acquisition(value)
        elif kind == "WaveformUint32":
            yield wire.WAVEFORM, _waveform(value)
        elif kind == "AcquisitionBucket":
            calibration = [line for line in value.ref if int(line.head.flags) & CALIBRATION]
            for line in [*calibration, *value.data]:
                yield wire.ACQUISITION, _acquisition(line)
            for waveform in value.waveforms:
                yield wire.WAVEFORM, _waveform(waveform)
        elif kind.startswith("Image"):
            left_out[kind] = left_out.get(kind, 0) + 1
        else:
            raise DataError(
                f"an item {kind} in an MRD 2 stream",
                "acquisitions, waveforms or buckets",
                "give the raw scan",
            )
    for kind, count in left_out.items():
        log.warning("%d items %s of the MRD 2 stream are left out", count, kind)


def _acquisition(item: Any) -> ismrmrd.Acquisition:
    old, data_cx = item.head, np.ascontiguousarray(item.data, np.complex64)
    path = np.ascontiguousarray(np.asarray(item.trajectory, np.float32).T) if item.trajectory.size else None
    head = ismrmrd.AcquisitionHeader()
    head.version, head.flags, head.measurement_uid = 1, int(old.flags), old.measurement_uid
    head.active_channels, head.number_of_samples = data_cx.shape
    head.available_channels = data_cx.shape[0]
    head.trajectory_dimensions = 0 if path is None else path.shape[1]
    for name in ("scan_counter", "discard_pre", "discard_post", "center_sample", "encoding_space_ref"):
        setattr(head, name, getattr(old, name) or 0)
    if old.center_sample is None:
        head.center_sample = data_cx.shape[1] // 2
    head.sample_time_us = _microseconds(old)
    head.acquisition_time_stamp = _ticks(old, "acquisition_time_stamp")
    for channel in old.channel_order:
        head.channel_mask[channel // 64] |= 1 << (channel % 64)
    for name in ("position", "read_dir", "phase_dir", "slice_dir", "patient_table_position"):
        getattr(head, name)[:] = [float(value) for value in getattr(old, name)]
    for name in COUNTERS:
        setattr(head.idx, name, getattr(old.idx, name) or 0)
    _fill(head.idx.user, old.idx.user)
    _fill(head.user_int, old.user_int)
    _fill(head.user_float, old.user_float)
    if hasattr(old, "physiology_time_stamp"):
        _fill(head.physiology_time_stamp, old.physiology_time_stamp)
    else:
        _fill(head.physiology_time_stamp, [value // TICK_NS for value in old.physiology_time_stamp_ns])
    return ismrmrd.Acquisition(head, data_cx, path)


def _waveform(item: Any) -> ismrmrd.Waveform:
    made = ismrmrd.Waveform.from_array(np.ascontiguousarray(item.data, np.uint32))
    made.flags, made.measurement_uid, made.scan_counter = (
        int(item.flags),
        item.measurement_uid,
        item.scan_counter,
    )
    made.sample_time_us, made.waveform_id = _microseconds(item), item.waveform_id
    made.time_stamp = _ticks(item, "time_stamp")
    return made


def _microseconds(item: Any) -> float:
    if hasattr(item, "sample_time_us"):
        return float(item.sample_time_us or 0.0)
    return float(item.sample_time_ns or 0) / NS_PER_US


def _ticks(item: Any, name: str) -> int:
    """A time stamp as ISMRMRD has it: in ticks (of 2.5 ms on Siemens)."""
    if hasattr(item, name):
        return int(getattr(item, name) or 0)
    return int(getattr(item, f"{name}_ns") or 0) // TICK_NS


def _fill(target: Any, values: Any) -> None:
    for place, value in enumerate(list(values)[: len(target)]):
        target[place] = value


def _record(item: Any, kind: Any) -> Any:
    """A part of the header as the class of the ISMRMRD schema, element by element, by name."""
    found = {_plain(name): value for name, value in vars(item).items()}
    hints = typing.get_type_hints(kind)
    filled = {
        field.name: _value(found[_plain(field.name)], hints[field.name])
        for field in dataclasses.fields(kind)
        if found.get(_plain(field.name)) is not None
    }
    return kind(**filled)


def _value(value: Any, hint: Any) -> Any:
    """A value as the schema has it: lists, records, words, dates, numbers."""
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    if isinstance(value, list):
        return [_value(each, kinds[0]) for each in value]
    kind = kinds[0] if kinds else hint
    if dataclasses.is_dataclass(kind):
        return _record(value, kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(each for each in kind if _plain(each.name) == _plain(value.name))
    if kind is XmlDate:
        return XmlDate.from_date(value if isinstance(value, datetime.date) else value.item())
    if kind is XmlTime:
        return XmlTime.from_string(str(value))
    return kind(value) if kind in (int, float, str) else value


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
