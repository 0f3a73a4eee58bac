"""Real raw data: a 0.055 T head scan of one coil, without noise scan or flags; an 8-channel head without flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
import pytest
import scipy.io
from simulated import reconstructed

from smug_recon.gadgets.model.file import load_model
from smug_recon.pipeline import load_pipeline
from smug_recon.replay import open_raw, read_items
from smug_recon.replay.messages.header import parse_header
from smug_recon.replay.results.images import open_dataset
from smug_recon.simulation.protocol.masks import sampling_mask
from smug_recon.simulation.truth.scores import score

SPACE = (
    "<{name}><matrixSize><x>{x}</x><y>{y}</y><z>1</z></matrixSize>"
    "<fieldOfView_mm><x>{x}</x><y>{y}</y><z>10</z></fieldOfView_mm></{name}>"
)


def header_xml(x: int, y: int) -> str:
    """A header with nothing but matrix, field of view and the limits of the phase encoding."""
    spaces = "".join(SPACE.format(name=name, x=x, y=y) for name in ("encodedSpace", "reconSpace"))
    step = f"<minimum>0</minimum><maximum>{y - 1}</maximum><center>{y // 2}</center>"
    return (
        '<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><experimentalConditions>'
        "<H1resonanceFrequency_Hz>2340000</H1resonanceFrequency_Hz></experimentalConditions><encoding>"
        f"{spaces}<encodingLimits><kspace_encoding_step_1>{step}</kspace_encoding_step_1></encodingLimits>"
        "<trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"
    )


def converted(kspace_xys: np.ndarray, lines: np.ndarray, path: Path) -> Path:
    """Write slices, readout first, as the simplest of converters would."""
    with open_dataset(path, "a") as dataset:
        dataset.write_xml_header(header_xml(*kspace_xys.shape[:2]).encode())
        for number in range(kspace_xys.shape[2]):
            for line in lines.tolist():
                samples = np.ascontiguousarray(kspace_xys[None, :, line, number])
                readout = ismrmrd.Acquisition.from_array(samples)
                readout.idx.kspace_encode_step_1, readout.idx.slice = line, number
                dataset.append_acquisition(readout)
    return path


def played(path: Path, model: Any) -> Any:
    with open_raw(path) as raw:
        header, _ = parse_header(raw.header_xml)
    return reconstructed(list(read_items(path)), header, model)


def images_of(kspace_xys: np.ndarray) -> np.ndarray:
    shifted = np.fft.ifft2(np.fft.ifftshift(kspace_xys, axes=(0, 1)), axes=(0, 1), norm="ortho")
    return np.abs(np.fft.fftshift(shifted, axes=(0, 1))).T


@pytest.fixture(scope="module")
def low_field(shared_data: Path) -> np.ndarray:
    path = shared_data / "lowfield055T" / "Figure_6A__0.055T__0.055T_FSE_kspace_postEMI.mat"
    return scipy.io.loadmat(path)["kspace"].astype(np.complex64)


def test_a_fully_sampled_low_field_scan_is_its_fourier_transform(
    low_field: np.ndarray, conventional_model: Any, tmp_path: Path
) -> None:
    found = played(
        converted(low_field, np.arange(low_field.shape[1]), tmp_path / "raw.h5"), conventional_model
    )
    assert found.images[0].meta["SmugPrewhitened"] == "0" and found.images[0].meta["SmugCoils"] == "1"
    assert found.nrmse(images_of(low_field)) < 1e-3
    assert found.report.fallbacks == 0


def test_an_undersampled_low_field_scan_is_no_worse_than_zero_filling(
    low_field: np.ndarray, tmp_path: Path
) -> None:
    mask_y = sampling_mask(low_field.shape[1], 2, 24, np.random.default_rng(1), pattern="random")
    pipeline = load_pipeline()
    if not pipeline.model_path.is_file():
        pytest.skip("no model file: train and export one into pipelines/models/")
    model = load_model(pipeline.model_path, pipeline.model.sha256, "cpu")
    found = played(converted(low_field, np.flatnonzero(mask_y), tmp_path / "raw.h5"), model)
    truth = images_of(low_field)
    zero_filled = score(images_of(low_field * mask_y[:, None]), truth).nrmse
    assert found.nrmse(truth) < zero_filled < 0.12
    assert any("coils 1: outside the trained range" in text for text in found.report.warnings)


def test_the_eight_channel_scan_without_its_flags_gives_nearly_the_same_image(
    shared_data: Path, conventional_model: Any
) -> None:
    path = shared_data / "brain8ch_R4.h5"
    flagged = played(path, conventional_model)
    with open_raw(path) as raw:
        header, _ = parse_header(raw.header_xml)
    readouts = list(read_items(path))
    for readout in readouts:
        readout.clearAllFlags()
        readout.scan_counter = 0
    header.encoding[0].parallelImaging = None
    found = reconstructed(readouts, header, conventional_model)
    assert found.report.fallbacks == 0
    assert found.nrmse(flagged.images[0].data[0]) < 0.03
