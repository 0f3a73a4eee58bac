"""A replay leaves images.h5, previews, DICOM and timing behind, and says by its exit code how it went."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import ismrmrd
import numpy as np
import pydicom
import pytest
from PIL import Image as Picture

from smug_recon.errors import ConfigurationError, DataError, HeaderError, StreamError
from smug_recon.replay import offline
from smug_recon.replay.host.configuration import configuration_element
from smug_recon.replay.results.images import ImageFile, open_dataset, read_images
from smug_recon.replay.results.preview import write_previews
from smug_recon.replay.results.timing import timing_table


@pytest.mark.parametrize("cut", [0, 30])
def test_a_scan_on_standard_input(cut, node, command, scan, write_stream, tmp_path, monkeypatch):
    node("sums")
    data = write_stream(scan([(8, 2, 0)] * 5, 1)).read_bytes()
    source = io.BytesIO(data[: len(data) - cut])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(source)))
    code, _, errors = command("-", "-o", tmp_path / "out", "--no-dicom", "--no-preview")
    if cut:
        assert code == 1 and "the stream was cut" in errors
        assert not (tmp_path / "out" / "images.h5").exists()
    else:
        assert (code, errors) == (0, "")
        assert len(list(read_images(tmp_path / "out" / "images.h5", "images_2"))) == 3


def test_everything_is_written_and_reads_back(node, command, scan, write_hdf5, tmp_path):
    node("sums")
    items = scan([(8, 2, 0)] * 5, 1)
    out = tmp_path / "out"
    code, said, errors = command(write_hdf5(items), "-o", out)
    assert (code, errors) == (0, "")
    with open_dataset(out / "images.h5", "r") as dataset:
        assert sorted(dataset.list()) == ["images_1", "images_2", "xml"]
        assert [dataset.number_of_images(f"images_{series}") for series in (1, 2)] == [2, 3]
        image = dataset.read_image("images_1", 1)
        ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
    assert image.data.dtype == np.uint16 and image.image_index == 4 and image.meta["WindowWidth"] == "100"
    assert image.data[0, 0, 0, 0] == items[3].scan_counter % 65536 and (image.data[0, 0, 1:] == 4).all()
    with Picture.open(out / "preview" / "images_1_0002.png") as picture:
        assert picture.size == (8, 4)
    assert len(list((out / "preview").iterdir())) == 5
    assert {pydicom.dcmread(path).SeriesNumber for path in (out / "dicom").iterdir()} == {101, 102}
    timing = json.loads((out / "timing.json").read_text())
    assert timing["stages"][1]["name"] == "network" and timing["replay"]["node"] > 0
    assert "network" in said and "75.0%" in said and "images.h5" in said
    assert sorted(path.name for path in out.iterdir()) == [
        "dicom",
        "images.h5",
        "node.log",
        "preview",
        "report.html",
        "timing.json",
    ]


def test_a_second_run_replaces_the_first_and_leaves_other_files_alone(
    node, command, scan, write_hdf5, tmp_path
):
    node("sums")
    out = tmp_path / "out"
    assert command(write_hdf5(scan([(8, 2, 0)] * 5)), "-o", out)[0] == 0
    (out / "preview" / "notes.txt").write_text("mine")
    assert command(write_hdf5(scan([(8, 2, 0)], seed=9), name="b.h5"), "-o", out)[0] == 0
    assert sorted(path.name for path in (out / "preview").iterdir()) == ["images_2_0001.png", "notes.txt"]
    assert len(list((out / "dicom").iterdir())) == 1


def test_a_failed_run_keeps_the_earlier_images_and_what_has_come(node, command, scan, write_hdf5, tmp_path):
    raw, out = write_hdf5(scan([(8, 2, 0)])), tmp_path / "out"
    node("sums")
    assert command(raw, "-o", out)[0] == 0
    before = (out / "images.h5").read_bytes()
    node("late_failure")
    code, _, errors = command(raw, "-o", out)
    assert code == 1 and "cannot be reconstructed" in errors and "Traceback" not in errors
    assert (out / "images.h5").read_bytes() == before
    assert len(list(read_images(out / "images.incomplete.h5", "images_1"))) == 1
    assert not list(out.glob("timing.node*"))
    node("fail")
    assert command(raw, "-o", out)[0] == 1
    assert not (out / "images.incomplete.h5").exists()


def test_exit_codes(node, command, scan, write_hdf5, tmp_path):
    raw, out = write_hdf5(scan([(8, 2, 0)] * 2)), tmp_path / "out"
    node("fallback")
    assert command(raw, "-o", out)[0] == 3
    node("nothing")
    code, _, errors = command(raw, "-o", out)
    assert code == 1 and "no image" in errors
    node("killed")
    assert command(raw, "-o", out)[0] == 1
    node("sums")
    assert command(tmp_path / "none.h5", "-o", out)[0] == 2
    assert command(raw)[0] == 2
    assert command(raw, "-o", raw)[0] == 2
    assert command(raw, "-o", out, "--set", "seed")[0] == 2
    assert command(raw, "-o", out, "-G", "none")[0] == 2
    assert command(raw, "-o", out, "-c", "none.yaml")[0] == 2
    (tmp_path / "cut.h5").write_bytes(raw.read_bytes()[:3000])
    assert command(tmp_path / "cut.h5", "-o", out)[0] == 1


def test_outputs_can_be_left_out(node, command, scan, write_hdf5, tmp_path):
    node("sums")
    out = tmp_path / "out"
    assert command(write_hdf5(scan([(8, 2, 0)])), "-o", out, "--no-dicom", "--no-preview")[0] == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "images.h5",
        "node.log",
        "report.html",
        "timing.json",
    ]
    assert command(write_hdf5(scan([(8, 2, 0)]), name="b.h5"), "-o", out, "--no-report")[0] == 0
    assert not (out / "report.html").exists()  # that of other images


def test_overrides_reach_the_node(node, command, scan, write_hdf5, tmp_path):
    node("configuration")
    options = [
        "--seed",
        7,
        "--samples",
        4,
        "--type",
        "float32",
        "--device",
        "cpu",
        "--set",
        "images.peak=2000",
    ]
    _, _, errors = command(write_hdf5(scan([(8, 2, 0)])), "-o", tmp_path / "out", *options)
    for name, value in {
        "seed": 7,
        "samples": 4,
        "images.type": "float32",
        "device": "cpu",
        "images.peak": 2000,
    }.items():
        assert f'name="{name}" value="{value}"' in errors


def test_a_gadgetron_xml_gives_its_properties(tmp_path):
    (tmp_path / "chain.xml").write_text(
        "<configuration><version>2</version><stream><external>"
        '<execute name="smug_recon.gadgets" target="reconstruct" type="python"/>'
        '<configuration><property name="seed" value="3"/><property name="samples" value="4"/></configuration>'
        "</external></stream></configuration>"
    )
    element = configuration_element(tmp_path / "chain.xml", {"seed": "5"})
    assert {each.get("name"): each.get("value") for each in element} == {"seed": "5", "samples": "4"}
    (each,) = configuration_element(None, {})
    assert each.get("name") == "pipeline" and Path(each.get("value")).is_absolute()
    with pytest.raises(ConfigurationError):
        configuration_element(tmp_path / "none.xml", {})


def fitting_model():
    from smug_recon.gadgets.model.file import sha256_of
    from smug_recon.pipeline import load_pipeline

    model = load_pipeline().model_path
    if not model.is_file():
        pytest.skip("no model file: train and export one into pipelines/models/")
    return {"model.sha256": sha256_of(model), "device": "cpu"}


def test_nothing_is_started_when_a_check_fails(scan, write_hdf5, tmp_path, monkeypatch):
    def no_node(*_, **__):
        raise AssertionError("a node was started")

    monkeypatch.setattr(offline, "Node", no_node)
    header = b"<ismrmrdHeader xmlns='http://www.ismrm.org/ISMRMRD'><experimentalConditions><H1resonanceFrequency_Hz>1"
    header += b"</H1resonanceFrequency_Hz></experimentalConditions></ismrmrdHeader>"
    with pytest.raises(HeaderError, match="encoding"):
        offline.replay(write_hdf5(scan([(8, 2, 0)]), header=header), tmp_path / "out")
    with pytest.raises(ConfigurationError):
        offline.replay(
            write_hdf5(scan([(8, 2, 0)]), name="b.h5"), tmp_path / "out", overrides={"device": "abacus"}
        )
    with pytest.raises(DataError, match="readouts of"):
        mixed = scan([(8, 2, 0)] * 4 + [(8, 3, 0)] * 4)
        for line in mixed:
            line.clearAllFlags()
            line.encoding_space_ref = 0
        offline.replay(write_hdf5(mixed, name="c.h5"), tmp_path / "out", overrides=fitting_model())
    assert not (tmp_path / "out").exists()


def image(pixels, series=1, **fields):
    made = ismrmrd.Image.from_array(pixels, transpose=False, image_series_index=series, **fields)
    made.meta = ismrmrd.Meta({"Note": "ä"})
    return made


@pytest.mark.parametrize("kind", [np.uint16, np.uint32, np.float32, np.float64, np.complex64, np.complex128])
def test_every_type_reads_back_from_images_h5(kind, tmp_path):
    sent = [image((np.arange(12).reshape(3, 4) * (k + 1)).astype(kind)) for k in range(3)]
    with ImageFile(tmp_path / "images.h5", b"<x/>") as file:
        for each in sent:
            file.append(each)
        file.finish()
    assert list(read_images(tmp_path / "images.h5", "images_1")) == sent
    with pytest.raises(DataError):
        list(read_images(tmp_path / "images.h5", "images_2"))


def test_another_matrix_under_the_same_series_gets_a_group_of_its_own(tmp_path):
    with ImageFile(tmp_path / "images.h5", b"<x/>") as file:
        shapes = [(3, 4), (3, 4), (5, 4), (3, 4)]
        groups = [file.append(image(np.ones(shape, np.uint16))) for shape in shapes]
        groups.append(file.append(image(np.ones((3, 4), np.float32))))
        file.finish()
    assert groups == ["images_1", "images_1", "images_1_2", "images_1", "images_1_3"]


def test_previews_are_windowed_and_upright(tmp_path):
    pixels_yx = np.zeros((6, 8), np.uint16)
    pixels_yx[1, 2] = (
        1000  # phase encoding to the right (-x), readout to anterior (-y), as in a sagittal table
    )
    turned = image(
        pixels_yx,
        field_of_view=(8.0, 6.0, 1.0),
        read_dir=(0.0, -1.0, 0.0),
        phase_dir=(-1.0, 0.0, 0.0),
        slice_dir=(0.0, 0.0, 1.0),
    )
    turned.meta = ismrmrd.Meta({"WindowCenter": "500", "WindowWidth": "1000"})
    (path,) = write_previews([turned], tmp_path, "p")
    with Picture.open(path) as picture:
        grey_yx = np.array(picture)
    assert grey_yx.shape == (8, 6)  # rows from anterior to posterior, columns from right to left
    assert grey_yx[7 - 2, 5 - 1] == 255 and grey_yx.sum() == 255
    (plain,) = write_previews(
        [ismrmrd.Image.from_array(np.zeros((2, 3), np.complex64), transpose=False)], tmp_path, "q"
    )
    assert plain.is_file()


def test_the_table_gives_shares_and_survives_a_node_that_wrote_none():
    table = timing_table(
        {"stages": [{"name": "a", "seconds": 1.0, "calls": 1}, {"name": "b", "seconds": 3.0, "calls": 2}]}
    )
    assert "25.0%" in table and "75.0%" in table
    assert "all stages" in timing_table({})


def test_errors_of_the_node_are_stream_errors(node, scan, write_hdf5, tmp_path):
    node("fail")
    with pytest.raises(StreamError, match="reported by the node"):
        offline.replay(write_hdf5(scan([(8, 2, 0)])), tmp_path / "out")
