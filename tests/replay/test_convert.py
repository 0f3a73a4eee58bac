"""Siemens .dat by way of siemens_to_ismrmrd (a stand-in on PATH) and MRD 2 by way of mrd-python."""

from __future__ import annotations

import datetime
import io
import os
import struct
import sys
from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from smug_recon.errors import ConfigurationError, DataError
from smug_recon.replay import convert
from smug_recon.replay.header import parse_header
from smug_recon.replay.heads import read_heads
from smug_recon.replay.noise import noise_scan
from smug_recon.replay.raw import open_raw, read_items

VD = struct.pack("<II", 0, 2) + bytes(9000)
VB = struct.pack("<II", 90000, 5) + b"Config\0" + bytes(500) + b"<XProtocol>" + bytes(500)


def bytes_of(items) -> list[bytes]:
    return [item.to_bytes() for item in items]


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


def mrd2_header(mrd):
    space = mrd.EncodingSpaceType(
        matrix_size=mrd.MatrixSizeType(x=96, y=48, z=1),
        field_of_view_mm=mrd.FieldOfViewMm(x=384.0, y=192.0, z=5.0),
    )
    recon = mrd.EncodingSpaceType(
        matrix_size=mrd.MatrixSizeType(x=48, y=48, z=1),
        field_of_view_mm=mrd.FieldOfViewMm(x=192.0, y=192.0, z=5.0),
    )
    encoding = mrd.EncodingType(
        encoded_space=space,
        recon_space=recon,
        encoding_limits=mrd.EncodingLimitsType(
            kspace_encoding_step_1=mrd.LimitType(minimum=0, maximum=47, center=24)
        ),
        trajectory=mrd.Trajectory.CARTESIAN,
        parallel_imaging=mrd.ParallelImagingType(
            acceleration_factor=mrd.AccelerationFactorType(
                kspace_encoding_step_1=2, kspace_encoding_step_2=1
            ),
            calibration_mode=mrd.CalibrationMode.EMBEDDED,
        ),
    )
    return mrd.Header(
        measurement_information=mrd.MeasurementInformationType(
            patient_position=mrd.PatientPosition.F_FS,
            protocol_name="head",
            series_date=datetime.date(2026, 11, 21),
            measurement_dependency=[
                mrd.MeasurementDependencyType(dependency_type="Noise", measurement_id="7")
            ],
        ),
        acquisition_system_information=mrd.AcquisitionSystemInformationType(
            receiver_channels=2,
            system_field_strength_t=1.5,
            coil_label=[mrd.CoilLabelType(coil_number=n, coil_name=f"H{n}") for n in range(2)],
        ),
        experimental_conditions=mrd.ExperimentalConditionsType(h1resonance_frequency_hz=63870000),
        encoding=[encoding],
        sequence_parameters=mrd.SequenceParametersType(t_r=[500.0], t_e=[8.5]),
    )


def mrd2_acquisition(mrd, item: ismrmrd.Acquisition):
    head = item.getHead()
    idx = mrd.EncodingCounters(
        **{name: getattr(head.idx, name) for name, _ in head.idx._fields_ if name != "user"},
        user=list(head.idx.user),
    )
    names = ("measurement_uid", "scan_counter", "acquisition_time_stamp", "discard_pre", "discard_post")
    names += ("center_sample", "encoding_space_ref", "sample_time_us")
    vectors = ("position", "read_dir", "phase_dir", "slice_dir", "patient_table_position")
    made = mrd.AcquisitionHeader(
        flags=mrd.AcquisitionFlags(int(head.flags)),
        idx=idx,
        channel_order=list(range(head.active_channels)),
        physiology_time_stamp=list(head.physiology_time_stamp),
        user_int=list(head.user_int),
        user_float=list(head.user_float),
        **{name: getattr(head, name) for name in names},
        **{name: np.array(getattr(head, name), np.float32) for name in vectors},
    )
    return mrd.Acquisition(head=made, data=np.array(item.data), trajectory=np.array(item.traj.T))


def readout(number: int, dimensions: int = 0) -> ismrmrd.Acquisition:
    rng = np.random.default_rng(number)
    path = rng.standard_normal((96, dimensions)).astype(np.float32)
    item = ismrmrd.Acquisition.from_array(
        rng.standard_normal((2, 192)).astype(np.float32).view(np.complex64), path
    )
    head = item.getHead()
    head.flags = (1 << 19) * (number % 2) + (1 << 7)
    head.measurement_uid, head.scan_counter, head.acquisition_time_stamp = 5, number, 1000 + number
    head.center_sample, head.discard_pre, head.discard_post = 40, 3, 2
    head.sample_time_us, head.encoding_space_ref = 2.5, 1
    head.physiology_time_stamp[:], head.channel_mask[0] = (1, 2, 3), 3
    for offset, name in enumerate(
        ("position", "read_dir", "phase_dir", "slice_dir", "patient_table_position")
    ):
        getattr(head, name)[:] = [offset + 0.25, offset + 0.5, offset]
    for offset, (name, _) in enumerate(head.idx._fields_):
        if name != "user":
            setattr(head.idx, name, number + offset)
    head.idx.user[:], head.user_int[:], head.user_float[:] = range(8), range(2, 10), range(3, 11)
    return ismrmrd.Acquisition(head, item.data, item.traj)


def mrd2_stream(mrd, items) -> bytes:
    buffer = io.BytesIO()
    with mrd.BinaryMrdWriter(buffer) as writer:
        writer.write_header(mrd2_header(mrd))
        writer.write_data(iter(items))
    return buffer.getvalue()


@pytest.fixture
def mrd():
    return pytest.importorskip("mrd", reason="mrd-python is not installed: pip install smug-recon[mrd2]")


def test_an_mrd2_stream_has_every_field_of_the_scan(mrd, tmp_path, monkeypatch):
    lines = [readout(0), readout(1), readout(2, dimensions=3)]
    waveform = ismrmrd.Waveform.from_array(
        np.arange(6, dtype=np.uint32).reshape(2, 3), waveform_id=3, time_stamp=9
    )
    waveform.sample_time_us = 5.0
    other = mrd.Waveform[np.uint32](
        time_stamp=9, sample_time_us=5.0, waveform_id=3, data=np.arange(6, dtype=np.uint32).reshape(2, 3)
    )
    bucket = mrd.AcquisitionBucket(
        data=[mrd2_acquisition(mrd, lines[0])], ref=[mrd2_acquisition(mrd, line) for line in lines[:2]]
    )
    items = [mrd.StreamItem.Acquisition(mrd2_acquisition(mrd, line)) for line in lines]
    items += [mrd.StreamItem.WaveformUint32(other), mrd.StreamItem.AcquisitionBucket(bucket)]
    data = mrd2_stream(mrd, items)
    path = tmp_path / "scan.bin"
    path.write_bytes(data)
    assert bytes_of(read_items(path)) == bytes_of([*lines, waveform, lines[1], lines[0]])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
    assert len(list(read_items("-"))) == 6
    with open_raw(path) as raw:
        header, _ = parse_header(raw.header_xml)
    about, system, encoding = (
        header.measurementInformation,
        header.acquisitionSystemInformation,
        header.encoding[0],
    )
    assert (about.patientPosition.value, about.protocolName) == ("FFS", "head")
    assert str(about.seriesDate) == "2026-11-21" and about.measurementDependency[0].measurementID == "7"
    assert [label.coilName for label in system.coilLabel] == [
        "H0",
        "H1",
    ] and system.systemFieldStrength_T == 1.5
    assert header.experimentalConditions.H1resonanceFrequency_Hz == 63870000
    matrix, fov = encoding.encodedSpace.matrixSize, encoding.encodedSpace.fieldOfView_mm
    assert (matrix.x, matrix.y, matrix.z, fov.x, fov.y, fov.z) == (96, 48, 1, 384.0, 192.0, 5.0)
    assert (
        encoding.encodingLimits.kspace_encoding_step_1.center == 24 and encoding.encodingLimits.slice is None
    )
    assert (encoding.trajectory.value, encoding.parallelImaging.calibrationMode.value) == (
        "cartesian",
        "embedded",
    )
    assert encoding.parallelImaging.accelerationFactor.kspace_encoding_step_1 == 2
    assert (header.sequenceParameters.TR, header.sequenceParameters.TE) == ([500.0], [8.5])


def test_an_mrd2_stream_that_is_cut_or_holds_no_raw_data_is_refused(mrd, tmp_path):
    whole = mrd2_stream(mrd, [mrd.StreamItem.Acquisition(mrd2_acquisition(mrd, readout(0)))])
    path = tmp_path / "cut.mrd"
    for length in (6, 300, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:length])
        os.utime(path, ns=(length, length))
        with pytest.raises(DataError, match="expected"):
            list(read_items(path))
    array = mrd.StreamItem.ArrayComplexFloat(np.zeros((2, 2), np.complex64))
    path.write_bytes(mrd2_stream(mrd, [array]))
    with pytest.raises(DataError, match="ArrayComplexFloat"):
        list(read_items(path))


def test_without_mrd_python_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mrd", None)
    path = tmp_path / "scan.bin"
    path.write_bytes(b"yardl\1\0\0\0")
    with pytest.raises(ConfigurationError, match="pip install mrd-python"):
        open_raw(path)
