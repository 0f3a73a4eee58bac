"""Siemens .dat by way of siemens_to_ismrmrd (a stand-in on PATH): converted once, with a clear word for what is not there."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import ismrmrd
import numpy as np
import pytest
from full_readouts import bytes_of, readout

from smug_recon.errors import ConfigurationError, DataError
from smug_recon.replay.messages.header import parse_header
from smug_recon.replay.reading import convert
from smug_recon.replay.reading.heads import read_heads
from smug_recon.replay.reading.noise import noise_scan
from smug_recon.replay.reading.raw import open_raw, read_items

VD = struct.pack("<II", 0, 2) + bytes(9000)


VB = struct.pack("<II", 90000, 5) + b"Config\0" + bytes(500) + b"<XProtocol>" + bytes(500)


@pytest.fixture
def converter(tmp_path, monkeypatch):
    """Put a siemens_to_ismrmrd on PATH that writes ``source`` and notes how it was called."""

    def put(source: Path | None, code: int = 0) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        program, calls = folder / convert.CONVERTER, tmp_path / "calls"
        copy = f'cp "{source}" "$6"\n' if source else ""
        program.write_text(
            f'#!/bin/sh\necho "$*" >> "{calls}"\n{copy}echo "no protocol found" >&2\nexit {code}\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return calls

    return put


@pytest.mark.parametrize("kind", ["stream of version 1.3", "HDF5 of older ones"])
@pytest.mark.parametrize(("start", "measurement"), [(VD, "2"), (VB, "1")], ids=["VD", "VB"])
def test_a_siemens_file_is_converted_once(
    kind, start, measurement, converter, scan, write_hdf5, write_stream, tmp_path, caplog
):
    items = scan([(8, 2, 0)] * 3)
    calls = converter((write_stream if "stream" in kind else write_hdf5)(items))
    path = tmp_path / "meas_MID00042.dat"
    path.write_bytes(start)
    assert bytes_of(read_items(path)) == bytes_of(items)
    assert len(read_heads(path)[1]) == 3
    words = calls.read_text().split("\n")[:-1]
    assert len(words) == 1, "converted again"
    assert words[0].startswith(f"-f {path} -z {measurement} -o ")
    assert ("2 measurements" in caplog.text) == (measurement == "2")


def test_the_noise_scan_among_the_measurements_is_found(converter, scan, write_stream, tmp_path, caplog):
    """Three measurements: coil adjustment, noise, the scan."""
    noise, lines = readout(4), [readout(0), readout(2)]
    noise.flags = 1 << (ismrmrd.ACQ_IS_NOISE_MEASUREMENT - 1)
    write_stream([readout(0)], "1.mrd")
    write_stream([noise, noise], "2.mrd")
    write_stream(lines, "3.mrd")
    calls = converter(tmp_path / "$4.mrd")
    path = tmp_path / "meas.dat"
    path.write_bytes(struct.pack("<II", 0, 3) + bytes(9000))
    xml, heads = read_heads(path)
    header, _ = parse_header(xml)
    with open_raw(path) as raw:
        found = noise_scan(raw, path, header, heads)
    assert found is not None and len(found.readouts) == 2
    np.testing.assert_array_equal(found.readouts[0].data, noise.data)
    assert [words.split()[3] for words in calls.read_text().splitlines()] == ["3", "1", "2"]
    assert "searched for its noise scan" in caplog.text


def test_without_the_converter_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "scan.dat"
    path.write_bytes(VD)
    with pytest.raises(ConfigurationError, match=r"siemens_to_ismrmrd on PATH.*-z 2"):
        open_raw(path)


@pytest.mark.parametrize("code", [0, 255])
def test_a_converter_that_fails_is_quoted(code, converter, tmp_path):
    converter(None, code)
    path = tmp_path / "scan.dat"
    path.write_bytes(VD)
    with pytest.raises(DataError, match="no protocol found"):
        open_raw(path)


def test_a_converter_that_hangs_is_ended(converter, tmp_path, monkeypatch):
    converter(None)
    monkeypatch.setattr(convert, "SILENCE_S", 2.0)
    program = tmp_path / "bin" / convert.CONVERTER
    program.write_text(f'#!/bin/sh\necho $$ > "{tmp_path / "pid"}"\nexec sleep 600\n')
    path = tmp_path / "scan.dat"
    path.write_bytes(VD)
    with pytest.raises(DataError, match=r"wrote nothing of scan\.dat for 2 s"):
        open_raw(path)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_other_files_are_no_siemens_files(scan, write_hdf5, write_stream):
    for path in (write_hdf5(scan([(8, 2, 0)])), write_stream(scan([(8, 2, 0)]))):
        assert convert.siemens_measurements(path.read_bytes()[:64]) == 0
    for start in (
        b"",
        bytes(64),
        b"\0" * 4 + b"\xff" * 60,
        struct.pack("<II", 90000, 5) + b"Other\0" + bytes(60),
    ):
        assert convert.siemens_measurements(start) == 0
    assert convert.siemens_measurements(VD) == 2 and convert.siemens_measurements(VB) == 1
