"""The bulk reader delivers what ismrmrd reads line by line, from either kind of file, or one clear error."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
import pytest
from full_readouts import bytes_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smug_recon.errors import ConfigurationError, DataError, HeaderError, SmugReconError, StreamError
from smug_recon.replay.hdf5 import tables
from smug_recon.replay.hdf5.direct import open_here
from smug_recon.replay.messages.header import parse_header
from smug_recon.replay.reading.raw import open_raw, read_items
from smug_recon.replay.results.images import open_dataset

SIZES = [(8, 2, 0), (8, 2, 0), (16, 4, 3), (1, 1, 2), (0, 2, 0), (8, 3, 0)]


def read_here(path):
    """As ``read_items``, without the second process: that it changes nothing is in ``test_watched.py``."""
    with open_here(path) as raw:
        return list(raw.items())


def by_dataset(path, group="dataset"):
    with open_dataset(path, "r", group) as dataset:
        return [dataset.read_acquisition(line) for line in range(dataset.number_of_acquisitions())]


size = st.tuples(st.integers(0, 20), st.integers(1, 5), st.integers(0, 3))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(size, min_size=1, max_size=40), seed=st.integers(0, 2**32 - 1), waveforms=st.integers(0, 3)
)
def test_bulk_reading_equals_ismrmrd_in_every_field(sizes, seed, waveforms, scan, write_hdf5, tmp_path):
    (tmp_path / "raw.h5").unlink(missing_ok=True)
    items = scan(sizes, waveforms, seed)
    path = write_hdf5(items)
    assert bytes_of(read_here(path)) == bytes_of(items)
    assert bytes_of(by_dataset(path)) == bytes_of(items[: len(sizes)])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(size, min_size=1, max_size=20), seed=st.integers(0, 2**32 - 1), waveforms=st.integers(0, 3)
)
def test_a_stream_gives_the_same_messages_as_the_file(
    sizes, seed, waveforms, scan, write_hdf5, write_stream, tmp_path
):
    (tmp_path / "raw.h5").unlink(missing_ok=True)
    items = scan(sizes, waveforms, seed)
    with open_here(write_hdf5(items)) as file, open_raw(write_stream(items)) as stream:
        assert file.header_xml == stream.header_xml
        from_file, from_stream = list(file.blocks()), list(stream.blocks())
    assert b"".join(block.payload for block in from_file) == b"".join(block.payload for block in from_stream)
    assert sum(block.acquisitions for block in from_file) == len(sizes)
    assert sum(block.others for block in from_stream) == waveforms


def test_a_real_scan_equals_ismrmrd(shared_data, tmp_path):
    path = Path(
        shutil.copyfile(shared_data / "brain8ch_R4.h5", tmp_path / "real.h5")
    )  # old ismrmrd wants to write
    path.chmod(0o600)
    assert bytes_of(read_items(path)) == bytes_of(by_dataset(path))


def test_memory_stays_bounded_and_nothing_changes(scan, write_hdf5, monkeypatch):
    items = scan([(32, 4, 0)] * 60)
    path = write_hdf5(items)
    monkeypatch.setattr(tables, "BLOCK_BYTES", 4000)
    with open_here(path) as raw:
        blocks = list(raw.blocks())
    assert len(blocks) > 10
    assert b"".join(block.payload for block in blocks) == b"".join(
        (1008).to_bytes(2, "little") + item.to_bytes() for item in items
    )


def test_headers_of_another_memory_layout_are_read_by_name(scan, write_hdf5, tmp_path):
    items = scan([(8, 2, 0)] * 3)
    with h5py.File(write_hdf5(items)) as file:
        rows = file["dataset/data"][:]
        xml = file["dataset/xml"][()]
    names = sorted(rows["head"].dtype.names)
    head = np.dtype([(name, rows["head"].dtype[name]) for name in names], align=True)
    table = np.empty(
        3, [("data", h5py.vlen_dtype(np.float32)), ("head", head), ("traj", h5py.vlen_dtype(np.float32))]
    )
    for name in names:
        table["head"][name] = rows["head"][name]
    table["data"], table["traj"] = rows["data"], rows["traj"]
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.create_dataset("dataset/xml", data=xml, dtype=h5py.string_dtype())
        file.create_dataset("dataset/data", data=table)
    assert bytes_of(read_items(tmp_path / "other.h5")) == bytes_of(items)


def test_the_group_is_dataset_else_the_first_else_the_one_asked_for(scan, write_hdf5):
    first, second = scan([(8, 2, 0)], seed=1), scan([(8, 2, 0)] * 2, seed=2)
    path = write_hdf5(first, "meas_1")
    write_hdf5(second, "meas_2")
    assert len(list(read_items(path))) == 1
    assert len(list(read_items(path, "/meas_2/"))) == 2
    write_hdf5(scan([(8, 2, 0)] * 3, seed=3), "dataset")
    assert len(list(read_items(path))) == 3
    with pytest.raises(ConfigurationError, match="meas_1"):
        open_raw(path, "meas_3")


@pytest.mark.parametrize("kind", ["vlen bytes", "vlen text", "fixed length", "scalar", "NUL-terminated"])
def test_any_group_name_and_any_kind_of_string_for_the_header(kind, scan, write_hdf5, tmp_path):
    """Converters put the scan where they like and write the header as they like."""
    items = scan([(8, 2, 0)] * 2)
    with h5py.File(write_hdf5(items)) as file:
        rows, xml = file["dataset/data"][:], bytes(np.asarray(file["dataset/xml"][()]).ravel()[0])
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file.create_group("notes")
        group = file.create_group("patient 1/Messung Ä/raw")
        group.create_dataset("data", data=rows)
        made = {
            "vlen bytes": lambda: group.create_dataset(
                "xml", data=[xml], dtype=h5py.special_dtype(vlen=bytes)
            ),
            "vlen text": lambda: group.create_dataset("xml", data=[xml.decode()], dtype=h5py.string_dtype()),
            "fixed length": lambda: group.create_dataset("xml", data=np.array([xml])),
            "scalar": lambda: group.create_dataset("xml", data=xml.decode(), dtype=h5py.string_dtype()),
            "NUL-terminated": lambda: group.create_dataset(
                "xml", data=np.array([xml + b"\0\0"], f"S{len(xml) + 9}")
            ),
        }
        made[kind]()
    assert (
        bytes_of(read_items(path)) == bytes_of(read_items(path, "patient 1/Messung Ä/raw")) == bytes_of(items)
    )
    with open_raw(path) as raw:
        assert parse_header(raw.header_xml)[1] == xml.strip()


@pytest.mark.parametrize("kind", ["hdf5", "stream"])
def test_standard_input_takes_both_kinds(kind, scan, write_hdf5, write_stream, monkeypatch):
    items = scan(SIZES, 1)
    path = (write_hdf5 if kind == "hdf5" else write_stream)(items)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(path.read_bytes()))))
    assert bytes_of(read_items("-")) == bytes_of(items)


def test_what_other_programs_put_in_a_stream_is_left_out(scan, write_stream, tmp_path):
    items = scan([(8, 2, 0)])
    plain = write_stream(items).read_bytes()
    before = b"\x01\x00" + b"default.xml".ljust(1024, b"\0") + b"\x02\x00\x03\x00\x00\x00<a>"
    text = b"\x05\x00\x02\x00\x00\x00hi"
    array = b"\x06\x04" + np.array([5, 0, 2], "<u2").tobytes() + np.array([2, 3], "<u8").tobytes() + bytes(24)
    path = tmp_path / "other.mrd"
    path.write_bytes(before + plain[:-2] + text + array + plain[-2:])
    assert bytes_of(read_items(path)) == bytes_of(items)


def test_images_and_waveforms_in_a_stream_travel_on(scan, write_stream):
    image = ismrmrd.Image.from_array(np.arange(12, dtype=np.uint16).reshape(3, 4), transpose=False)
    image.meta = ismrmrd.Meta({"Note": "seen"})
    acquisition, waveform = scan([(8, 2, 0)], 1)
    items = [waveform, acquisition, image]
    assert bytes_of(read_items(write_stream(items))) == bytes_of(items)


def test_a_stream_cut_anywhere_is_one_error(scan, write_stream, tmp_path):
    whole = write_stream(scan([(3, 1, 1)], 1)).read_bytes()
    path = tmp_path / "cut.mrd"
    for length in [1, 2, 5, 6, *range(7, len(whole), 13), len(whole) - 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(StreamError, match="expected"):
            list(read_items(path))


def test_a_file_cut_anywhere_is_one_error(scan, write_hdf5, tmp_path):
    whole = write_hdf5(scan([(64, 4, 0)] * 20)).read_bytes()
    path = tmp_path / "cut.h5"
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DataError, match="damaged"):
            read_here(path)


def test_rows_that_contradict_their_header_are_refused(scan, write_hdf5):
    path = write_hdf5(scan([(8, 2, 0)] * 2))
    with h5py.File(path, "r+") as file:
        rows = file["dataset/data"][:]
        rows["data"][1] = rows["data"][1][:-2]
        file["dataset/data"][:] = rows
    with pytest.raises(DataError, match="30 values"):
        list(read_items(path))


@pytest.mark.parametrize(
    "content", [b"", b"\x89HDF\r\n\x1a\nnothing", b"PK\x03\x04 no raw data", b"\x03\x00\xff\xff\xff\xff"]
)
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "file.h5"
    path.write_bytes(content)
    with pytest.raises(SmugReconError, match="expected"):
        list(read_items(path))


def test_hdf5_without_a_raw_scan_names_what_it_holds(tmp_path):
    with h5py.File(tmp_path / "fastmri.h5", "w") as file:
        file["kspace"] = np.zeros(3)
    with pytest.raises(DataError, match="kspace"):
        open_raw(tmp_path / "fastmri.h5")
    with pytest.raises(DataError, match="no file"):
        open_raw(tmp_path / "none.h5")


def test_careless_headers_are_put_in_order(write_stream):
    with open_raw(write_stream([])) as raw:
        xml = raw.header_xml
    header, same = parse_header(xml + b"\0")
    assert same == xml
    careless = xml.replace(b"<trajectory>", b"<novelty>1</novelty><trajectory>") + b"\0\n"
    again, sent = parse_header(careless)
    assert again == header
    assert ismrmrd.xsd.CreateFromDocument(sent) == header


@pytest.mark.parametrize("xml", [b"", b"no header", b"<html><body/></html>", b"<ismrmrdHeader", b"\xff\xfe"])
def test_what_is_no_header_is_refused(xml):
    with pytest.raises(HeaderError, match="expected"):
        parse_header(xml)
