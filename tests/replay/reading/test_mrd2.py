"""MRD 2 streams by way of mrd-python: every field of the scan, and a clear word for what is none."""

from __future__ import annotations

import datetime
import io
import os
import sys

import ismrmrd
import numpy as np
import pytest
from full_readouts import bytes_of, readout

from smug_recon.errors import ConfigurationError, DataError
from smug_recon.replay.messages.header import parse_header
from smug_recon.replay.reading.raw import open_raw, read_items


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
