"""Images are compared with the truth of the same counters, and never with that of others."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import ismrmrd
import numpy as np
import pytest
from typer.testing import CliRunner

from smug_recon.__main__ import app
from smug_recon.errors import DataError
from smug_recon.replay.results.images import ImageFile
from smug_recon.simulation.truth.compare import Picture, TruthFile, Where, compare_series, pictures
from smug_recon.simulation.truth.scores import score
from smug_recon.simulation.truth.truth import Truth, write_truth

ROWS, COLUMNS = 24, 20


def some_truth(partitions: int = 1) -> Truth:
    """Four images of two slices and two phases, or the partitions of one volume."""
    rng = np.random.default_rng(0)
    count = 4 if partitions == 1 else partitions
    image = (rng.random((count, ROWS, COLUMNS)) + 1j).astype(np.complex64)
    number, zero = np.arange(count), np.zeros(count, np.int64)
    nothing = np.zeros((1, 1), complex)
    return Truth(
        image_syx=image,
        whitened_syx=(image * np.linspace(0.5, 1.5, COLUMNS)).astype(np.complex64),
        maps_scyx=np.ones((1, 1, ROWS, COLUMNS), np.complex64),
        inside_syx=np.ones((1, ROWS, COLUMNS), np.float32),
        mask_y=np.ones(ROWS, bool),
        covariance_cc=nothing,
        noise_scan_covariance_cc=nothing,
        mask_zy=np.ones((partitions, ROWS), bool),
        slice_s=number % 2 if partitions == 1 else zero,
        partition_s=zero if partitions == 1 else number,
        contrast_s=zero,
        phase_s=number // 2 if partitions == 1 else zero,
        repetition_s=zero,
        set_s=zero,
    )


def where(number: int) -> Where:
    return Where(slice=number % 2, partition=0, contrast=0, phase=number // 2, repetition=0, set=0)


@pytest.fixture
def truth_file(tmp_path: Path) -> Iterator[Callable[[Truth], TruthFile]]:
    opened: list[TruthFile] = []

    def make(truth: Truth) -> TruthFile:
        path = tmp_path / f"truth{len(opened)}.h5"
        write_truth(truth, path)
        opened.append(TruthFile(path))
        return opened[-1]

    yield make
    for file in opened:
        file.close()


@pytest.mark.parametrize("whitened", [False, True])
def test_the_truth_itself_is_perfect_in_any_order(
    truth_file: Callable[[Truth], TruthFile], whitened: bool
) -> None:
    truth = some_truth()
    source = np.abs(truth.whitened_syx if whitened else truth.image_syx)
    found = [Picture(where(number), 7 * source[number], whitened) for number in (3, 1, 0, 2)]
    result = compare_series("images_1", lambda: found, truth_file(truth))
    assert result.scale == pytest.approx(1 / 7)
    assert result.whole.psnr_db > 120 and result.whole.ssim == pytest.approx(1)
    assert list(result.images) == [where(number) for number in (0, 2, 1, 3)]
    wrong = [Picture(picture.where, picture.pixels_yx, not whitened) for picture in found]
    assert compare_series("images_1", lambda: wrong, truth_file(truth)).whole.psnr_db < 30


def test_a_series_scores_as_a_stack_and_a_mix_up_shows(truth_file: Callable[[Truth], TruthFile]) -> None:
    truth, rng = some_truth(), np.random.default_rng(1)
    noisy = np.abs(truth.image_syx) + 0.1 * rng.standard_normal(truth.image_syx.shape)
    found = [Picture(where(number), noisy[number]) for number in range(4)]
    result = compare_series("images_1", lambda: found, truth_file(truth))
    wanted = score(noisy, truth.image_syx)
    assert result.whole.psnr_db == pytest.approx(wanted.psnr_db)
    assert result.whole.nrmse == pytest.approx(wanted.nrmse)
    assert result.whole.ssim == pytest.approx(wanted.ssim, abs=1e-5)
    mixed = [Picture(where(number), noisy[number ^ 2]) for number in range(4)]
    assert compare_series("images_1", lambda: mixed, truth_file(truth)).whole.psnr_db < wanted.psnr_db - 3


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([Picture(where(0)._replace(repetition=2), np.ones((ROWS, COLUMNS)))], "slice 0, repetition 2"),
        ([Picture(where(0), np.ones((ROWS, COLUMNS + 1)))], "24 x 21 pixels .* 24 x 20"),
        ([Picture(where(1), np.ones((ROWS, COLUMNS)))] * 2, "two images of slice 1"),
        ([], "no image in images_1"),
    ],
)
def test_what_does_not_fit_is_refused(
    truth_file: Callable[[Truth], TruthFile], found: list[Picture], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        compare_series("images_1", lambda: found, truth_file(some_truth()))


def image(pixels: np.ndarray, **counters: int) -> ismrmrd.Image:
    made = ismrmrd.Image.from_array(pixels.astype(np.float32), transpose=False)
    for name, value in {"image_series_index": 1, **counters}.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("volume", [True, False])
def test_partitions_come_as_one_volume_or_as_one_image_each(
    truth_file: Callable[[Truth], TruthFile], volume: bool
) -> None:
    truth = some_truth(partitions=5)
    magnitude = np.abs(truth.image_syx)
    if volume:
        images = [image(magnitude[None])]
    else:
        images = [image(magnitude[number][None, None], slice=number) for number in range(5)]
    file = truth_file(truth)
    result = compare_series("images_1", lambda: pictures(images, file.partitions), file)
    assert [place.partition for place in result.images] == list(range(5))
    assert result.whole.psnr_db > 100


def write_images(path: Path, stack: np.ndarray, partitions: bool = False) -> None:
    with ImageFile(path, b"<ismrmrdHeader/>") as file:
        for number, pixels in enumerate(stack):
            counters = {"slice": number} if partitions else {"slice": number % 2, "phase": number // 2}
            file.append(image(pixels[None, None], **counters))
        file.finish()


def test_command_prints_series_and_slices(tmp_path: Path) -> None:
    truth = some_truth()
    write_truth(truth, tmp_path / "truth.h5")
    write_images(tmp_path / "images.h5", 3 * np.abs(truth.image_syx))
    arguments = [str(tmp_path / "images.h5"), str(tmp_path / "truth.h5"), "--json", str(tmp_path / "s.json")]
    result = CliRunner().invoke(app, ["compare", *arguments])
    assert result.exit_code == 0, result.output
    for row in ("all 4", "slice 0", "slice 0, phase 1", "slice 1", "slice 1, phase 1"):
        assert f"images_1     {row} " in result.output
    assert "PSNR dB" in result.output
    numbers = json.loads((tmp_path / "s.json").read_text())["images_1"]
    assert numbers["all"]["psnr_db"] > 100 and len(numbers["images"]) == 4
    result = CliRunner().invoke(app, ["compare", *arguments, "--brief", "--series", "images_2"])
    assert result.exit_code != 0 and "one of images_1" in str(result.exception)


def test_command_compares_two_reconstructions(tmp_path: Path) -> None:
    stack = np.abs(some_truth().image_syx)
    write_images(tmp_path / "one.h5", stack)
    write_images(tmp_path / "two.h5", 5 * stack)
    result = CliRunner().invoke(app, ["compare", str(tmp_path / "one.h5"), str(tmp_path / "two.h5")])
    assert result.exit_code == 0, result.output
    assert "all 4" in result.output and float(result.output.split("all 4")[1].split()[0]) > 100


def test_command_refuses_files_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("nothing")
    write_truth(some_truth(), tmp_path / "truth.h5")
    write_images(tmp_path / "images.h5", np.abs(some_truth().image_syx))
    for pair in (("text.h5", "truth.h5"), ("images.h5", "text.h5"), ("truth.h5", "truth.h5")):
        result = CliRunner().invoke(app, ["compare", *[str(tmp_path / name) for name in pair]])
        assert result.exit_code != 0 and "expected" in str(result.exception)


def test_an_empty_truth_scores_nothing() -> None:
    zero = np.zeros((1, ROWS, COLUMNS))
    assert math.isnan(score(zero + 1, zero).psnr_db)


def test_an_empty_partition_has_no_nrmse_and_spoils_nothing(
    truth_file: Callable[[Truth], TruthFile], tmp_path: Path
) -> None:
    truth = some_truth(partitions=4)
    truth.image_syx[0] = 0
    source = np.abs(truth.image_syx) + 1e-3
    series = [Picture(Where(0, number, 0, 0, 0, 0), source[number]) for number in range(4)]
    found = compare_series("images_1", lambda: series, truth_file(truth))
    empty, full = found.images[series[0].where], found.images[series[1].where]
    assert math.isnan(empty.nrmse) and empty.psnr_db > 50 and 0.9 < empty.ssim <= 1
    assert 0.99 < found.whole.ssim <= 1 and found.whole.nrmse < 0.01 and full.nrmse < 0.01


def test_command_prints_a_dash_and_no_nan(tmp_path: Path) -> None:
    truth = some_truth(partitions=4)
    truth.image_syx[0] = 0
    write_truth(truth, tmp_path / "truth.h5")
    write_images(tmp_path / "images.h5", np.abs(truth.image_syx) + 1e-3, partitions=True)
    arguments = [str(tmp_path / "images.h5"), str(tmp_path / "truth.h5"), "--json", str(tmp_path / "s.json")]
    result = CliRunner().invoke(app, ["compare", *arguments])
    assert result.exit_code == 0, result.output
    assert "nan" not in result.output.lower()
    assert next(row for row in result.output.splitlines() if "slice 0 " in row).split()[-1] == "-"
    assert "NaN" not in (tmp_path / "s.json").read_text()
    assert json.loads((tmp_path / "s.json").read_text())["images_1"]["images"][0]["nrmse"] is None
