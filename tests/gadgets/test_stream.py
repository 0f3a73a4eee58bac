"""The whole chain: equal pixels for any arrival order, foreign items in order, real protocol, real data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np
import pytest
from noisy_scan import same, scan_of
from parent import CLOSE, Node, Process, handshake, packed, read_answer, waveform
from small_scan import LINES_Y, READOUT_X, SAMPLES_X, SmallScan, coil_images, header, header_xml

from smug_recon.errors import DataError, HeaderError
from smug_recon.gadgets import reconstruct
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline


def outputs(items: list[Any], model: Any, slices: int = 3, **overrides: Any) -> tuple[list[Any], Any]:
    found: list[Any] = []
    pipeline = load_pipeline().with_overrides(overrides)
    report = run(items, found.append, header(slices=slices), pipeline, model)
    return found, report


@pytest.mark.parametrize("last", [True, False], ids=["flags", "no flags"])
def test_equal_input_and_seed_give_equal_images_twice_and_in_any_order(
    conventional_model: Any, last: bool
) -> None:
    readouts = scan_of(last=last).readouts
    reference, _ = outputs(readouts, conventional_model)
    assert len(reference) == 3
    assert same(reference, outputs(readouts, conventional_model)[0])
    rng = np.random.default_rng(2)
    for _ in range(3):
        shuffled = [readouts[n] for n in rng.permutation(len(readouts))]
        assert same(reference, outputs(shuffled, conventional_model)[0])


def test_images_show_the_object_where_it_is(conventional_model: Any) -> None:
    crop = slice(SAMPLES_X // 2 - READOUT_X // 2, SAMPLES_X // 2 + READOUT_X // 2)
    settings = {"images.type": "float32", "prewhitening": False}
    found, report = outputs(scan_of().readouts, conventional_model, **settings)
    assert [image.slice for image in found] == [0, 1, 2]
    assert [image.position[2] for image in found] == [3.0, 8.0, 13.0]
    assert report.slices == 3
    for index, image in enumerate(found):
        truth = np.sqrt((np.abs(coil_images(index)[:, :, crop]) ** 2).sum(0))
        assert np.corrcoef(image.data[0, 0].ravel(), truth.ravel())[0, 1] > 0.97


def test_one_factor_per_series_is_recorded(conventional_model: Any) -> None:
    found, _ = outputs(scan_of().readouts, conventional_model, **{"images.conventional": True})
    for series in (1, 2):
        factors = {
            image.meta["GADGETRON_ScaleFactor"] for image in found if image.image_series_index == series
        }
        assert len(factors) == 1


def test_foreign_items_pass_in_order(conventional_model: Any) -> None:
    items: list[Any] = list(scan_of(1).readouts)
    scan = SmallScan()
    navigator = scan.add(scan.noise(12), 1 << (ismrmrd.ACQ_IS_NAVIGATION_DATA - 1))
    navigator.scan_counter = 10_000
    foreign = [
        waveform(1),
        navigator,
        ismrmrd.Image.from_array(np.zeros((2, 3), np.float32), transpose=False),
        object(),
        waveform(2),
    ]
    for place, item in zip((0, 5, 11, 20, len(items) + 4), foreign, strict=True):
        items.insert(place, item)
    found, report = outputs(items, conventional_model, 1)
    ours = [item for item in found if isinstance(item, ismrmrd.Image) and item.meta]
    assert len(ours) == 1
    assert [item for item in found if item is not ours[0]] == foreign
    assert all(a is b for a, b in zip([item for item in found if item is not ours[0]], foreign, strict=True))
    assert report.passed == {"navigator": 1}


def test_only_images_go_back_where_the_pipeline_says_so(conventional_model: Any) -> None:
    readouts = scan_of().readouts
    passing = ismrmrd.Image.from_array(np.zeros((4, 4), np.float32), transpose=False)
    items = [ismrmrd.Acquisition(), passing, *readouts]
    items[0].set_flag(ismrmrd.ACQ_IS_NAVIGATION_DATA)
    found, report = outputs(items, conventional_model, pass_on="images")
    assert found[0] is passing
    expected, _ = outputs(readouts, conventional_model)
    for image in (*found[1:], *expected):
        assert image.meta.pop("SmugPipelineSha256")  # other settings
    assert same(found[1:], expected)
    assert report.left_out == {"Acquisition": 1}


def test_the_header_is_checked_before_the_first_item_is_read(conventional_model: Any) -> None:
    bad = header()
    bad.encoding[0].trajectory = ismrmrd.xsd.trajectoryType.SPIRAL

    def items() -> Any:
        raise AssertionError("an item was read")
        yield

    with pytest.raises(HeaderError, match="spiral"):
        run(items(), print, bad, load_pipeline(), conventional_model)


def test_the_report_adds_up_and_is_written_where_the_environment_says(
    conventional_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMUG_RECON_TIMING", str(tmp_path / "timing.json"))
    outputs(scan_of(2).readouts, conventional_model, 2)
    found = json.loads((tmp_path / "timing.json").read_text())
    assert (found["slices"], found["fallbacks"], found["warnings"]) == (2, 0, [])
    seconds = sum(stage["seconds"] for stage in found["stages"])
    assert seconds == pytest.approx(found["wall_seconds"], rel=0.02, abs=0.005)
    calls = {stage["name"]: stage["calls"] for stage in found["stages"]}
    assert calls["network"] == calls["send"] == 2
    assert calls["readout"] == found["lines"]


def test_importing_the_node_does_not_load_torch() -> None:
    code = "import sys, smug_recon.gadgets as g; g.reconstruct; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_behind_gadgetrons_execute_the_same_images_arrive() -> None:
    readouts = scan_of(2).readouts
    pipeline = load_pipeline()
    reference: list[Any] = []
    run(readouts, reference.append, header(slices=2), pipeline)
    node = Process("reconstruct", "smug_recon.gadgets", OMP_NUM_THREADS="1")
    node.host.sendall(handshake(b"<configuration/>", header_xml(slices=2).encode()))
    node.host.sendall(b"".join(packed(item) for item in [waveform(3), *readouts]) + CLOSE)
    answer = read_answer(node.host, 120)
    assert node.exit_code() == 0, node.log
    assert answer.error is None
    assert answer.ending == "close"
    assert isinstance(answer.items[0], ismrmrd.Waveform)
    assert [image.data.shape for image in answer.items[1:]] == [(1, 1, LINES_Y, READOUT_X)] * 2
    for ours, theirs in zip(reference, answer.items[1:], strict=True):
        assert np.abs(ours.data.astype(int) - theirs.data.astype(int)).max() <= 1  # other number of threads
        assert ours.meta["SmugModelSha256"] == theirs.meta["SmugModelSha256"] == pipeline.model.sha256


def test_an_error_of_the_chain_reaches_the_host_as_text() -> None:
    readouts = scan_of(1).readouts
    readouts[-3].idx.kspace_encode_step_1 = LINES_Y + 7
    node = Node(reconstruct)
    data = b"".join(packed(item) for item in readouts)
    answer = node.talk(handshake(b"<configuration/>", header_xml().encode()) + data + CLOSE)
    assert isinstance(node.error, DataError)
    assert answer.error is not None
    assert f"line {LINES_Y + 7}" in answer.error
    assert "slice 0" in answer.error


def real_scan(path: Path) -> tuple[Any, list[ismrmrd.Acquisition]]:
    with h5py.File(path, "r", locking=False) as file:
        rows = file["dataset/data"][:]
        head = ismrmrd.xsd.CreateFromDocument(file["dataset/xml"][0])
    readouts = []
    for row in rows:
        line = ismrmrd.Acquisition(row["head"].tobytes())
        line.data[:] = row["data"].view(np.complex64).reshape(line.data.shape)
        readouts.append(line)
    return head, readouts


def test_real_fully_sampled_scan_equals_the_plain_transform(
    shared_data: Path, conventional_model: Any
) -> None:
    head, readouts = real_scan(shared_data / "brain8ch.h5")
    head.encoding[0].parallelImaging = None
    found: list[Any] = []
    pipeline = load_pipeline().with_overrides({"images.type": "float32"})
    run(readouts, found.append, head, pipeline, conventional_model)
    kspace_cyx = np.zeros((8, 180, 230), np.complex64)
    for line in readouts:
        kspace_cyx[:, line.idx.kspace_encode_step_1] = line.data
    shifted = np.fft.ifftn(np.fft.ifftshift(kspace_cyx, axes=(1, 2)), axes=(1, 2), norm="ortho")
    truth_yx = np.sqrt((np.abs(np.fft.fftshift(shifted, axes=(1, 2))) ** 2).sum(0))
    image_yx = found[0].data[0, 0]
    inside = (truth_yx > 0.1 * truth_yx.max()) & (image_yx > 0)
    assert np.corrcoef(image_yx[inside], truth_yx[inside])[0, 1] > 0.99
    assert np.median(image_yx[inside] / truth_yx[inside]) == pytest.approx(1.0, abs=0.02)


def test_real_accelerated_scan_gives_the_same_pixels_for_any_order(
    shared_data: Path, conventional_model: Any
) -> None:
    head, readouts = real_scan(shared_data / "brain8ch_R4.h5")
    found: list[list[Any]] = [[], []]
    order = np.random.default_rng(4).permutation(len(readouts))
    run(readouts, found[0].append, head, load_pipeline(), conventional_model)
    run([readouts[n] for n in order], found[1].append, head, load_pipeline(), conventional_model)
    assert same(found[0], found[1])
    assert found[0][0].meta["SmugLines"] == "45 of 180"
