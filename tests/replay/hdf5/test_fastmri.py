"""fastMRI files: the readouts are the columns of the array, and the image is that of the object."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
import pytest

from smug_recon.errors import DataError
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.scan import run
from smug_recon.gadgets.survey.heads import survey
from smug_recon.pipeline import load_pipeline
from smug_recon.replay.messages.header import parse_header
from smug_recon.replay.reading.heads import read_heads
from smug_recon.replay.reading.raw import open_raw, read_items

sys.path.insert(0, str(Path(__file__).parents[2] / "gadgets"))
from conventional import ConventionalModel
from small_scan import LINES_Y, READOUT_X, centred_fft, coil_images, header_xml

SLICES = 2


def kspace_scxy() -> np.ndarray:
    """As fastMRI stores it: the readout is the third axis, the phase encodes are the fourth."""
    noise = np.random.default_rng(3)
    slices = [centred_fft(coil_images(number), (1, 2)).transpose(0, 2, 1) for number in range(SLICES)]
    found = np.stack(slices)
    return (found + 1e-3 * noise.standard_normal(found.shape)).astype(np.complex64)


def write(path: Path, kspace: np.ndarray, mask=None, xml: str | None = None) -> Path:
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace
        file["ismrmrd_header"] = xml or header_xml(slices=SLICES, calibration=None)
        file["reconstruction_rss"] = np.zeros((SLICES, 48, 48), np.float32)
        file.attrs["acquisition"] = "AXT1"
        if mask is not None:
            file["mask"] = mask
    return path


def images(path: Path, **overrides) -> list[ismrmrd.Image]:
    with open_raw(path) as raw:
        header, _ = parse_header(raw.header_xml)
    found: list = []
    settings = load_pipeline().with_overrides({"images.type": "float32", **overrides})
    run(read_items(path), found.append, header, settings, ConventionalModel())
    return found


def assert_shows_the_object(found: list[ismrmrd.Image], least: float) -> None:
    assert [image.slice for image in found] == list(range(SLICES))
    assert [image.position[2] for image in found] == [-2.5, 2.5]
    for number, image in enumerate(found):
        truth_yx = np.sqrt((np.abs(coil_images(number)[:, :, 24:72]) ** 2).sum(0))
        image_yx = image.data[0, 0]
        assert image_yx.shape == truth_yx.shape == (LINES_Y, READOUT_X)
        assert np.corrcoef(image_yx.ravel(), truth_yx.ravel())[0, 1] > least
        inside = truth_yx > 0.3 * truth_yx.max()
        assert np.median(image_yx[inside] / truth_yx[inside]) == pytest.approx(1.0, abs=0.02)


def test_a_fully_sampled_file(tmp_path):
    path = write(tmp_path / "file.h5", kspace_scxy())
    assert_shows_the_object(images(path), 0.999)
    xml, heads = read_heads(path)
    assert len(heads) == SLICES * LINES_Y
    found = survey(heads, build_plan(parse_header(xml)[0], load_pipeline()))
    assert (found.slices, found.coils, found.lines) == (SLICES, 4, (LINES_Y, LINES_Y))


@pytest.mark.parametrize("zeroed", [True, False], ids=["masked data", "full data beside the mask"])
def test_the_mask_says_what_was_acquired(zeroed, tmp_path, caplog):
    mask = np.zeros(LINES_Y, np.uint8)
    mask[::2] = 1
    mask[16:32] = 1
    data = kspace_scxy() * (mask if zeroed else 1)
    path = write(tmp_path / "file.h5", data, mask)
    lines = [item for item in read_items(path) if item.idx.slice == 1]
    assert [line.idx.kspace_encode_step_1 for line in lines] == np.flatnonzero(mask).tolist()
    np.testing.assert_array_equal(lines[3].data, data[1, :, :, 6])
    assert ("outside the mask" in caplog.text) == (not zeroed)
    found = images(path)
    assert_shows_the_object(found, 0.97)
    assert found[0].meta["SmugLines"] == "32 of 48"


def test_without_a_mask_the_zeros_say_it(tmp_path):
    data = kspace_scxy()
    data[..., 1:16:2] = data[..., 33::2] = 0
    path = write(tmp_path / "file.h5", data)
    found = images(path)
    assert_shows_the_object(found, 0.97)
    assert found[0].meta["SmugLines"] == "32 of 48"


def test_columns_are_counted_from_the_padding(tmp_path):
    """Fewer encoding steps than columns: fastMRI pads so that the centre is in the middle."""
    data = kspace_scxy()
    data[..., :4] = data[..., 44:] = 0
    xml = header_xml(slices=SLICES, calibration=None)
    xml = xml.replace("<maximum>47</maximum><center>24</center>", "<maximum>39</maximum><center>20</center>")
    path = write(tmp_path / "file.h5", data, xml=xml)
    lines = [item for item in read_items(path) if item.idx.slice == 0]
    assert [line.idx.kspace_encode_step_1 for line in lines] == list(range(40))
    assert_shows_the_object(images(path), 0.98)


def test_single_coil_files(tmp_path):
    path = write(tmp_path / "file.h5", kspace_scxy()[:, 0])
    items = list(read_items(path))
    assert {(line.active_channels, line.number_of_samples) for line in items} == {(1, 96)}
    truth_yx = np.abs(coil_images(1)[0, :, 24:72])
    image_yx = images(path)[1].data[0, 0]
    assert np.corrcoef(image_yx.ravel(), truth_yx.ravel())[0, 1] > 0.999


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: (data[:, :, 24:72], None), "48 x 48"),
        (lambda data: (data.real, None), "float32"),
        (lambda data: (data[0, 0], None), "kspace of complex64 \\(96, 48\\)"),
        (lambda data: (data, np.ones(40)), "a mask of 40"),
        (lambda data: (data * np.array([1, 0])[:, None, None, None], None), "no samples in slice 1"),
    ],
)
def test_arrays_that_do_not_fit_the_header_are_refused(change, said, tmp_path):
    data, mask = change(kspace_scxy())
    with pytest.raises(DataError, match=said):
        list(read_items(write(tmp_path / "file.h5", data, mask)))


def test_a_file_on_standard_input(tmp_path, monkeypatch):
    import io

    path = write(tmp_path / "file.h5", kspace_scxy())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(path.read_bytes()))))
    assert len(list(read_items("-"))) == SLICES * LINES_Y


@pytest.mark.parametrize("missing", ["ismrmrd_header", "kspace"])
def test_half_a_fastmri_file_says_which_half_it_is(tmp_path: Path, missing: str) -> None:
    path = write(tmp_path / "half.h5", kspace_scxy())
    with h5py.File(path, "a") as file:
        del file[missing]
    there = {"ismrmrd_header": "kspace", "kspace": "ismrmrd_header"}[missing]
    with pytest.raises(DataError, match=f"{there} alone in half.h5.*kspace and ismrmrd_header"):
        open_raw(path)
