"""Contrasts, phases, repetitions, sets, segments and averages: the right image under the right counters, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
import pytest
import torch
from simulated import NOISE, Result, header_of, parts_of, readouts_of, reconstructed, scan
from small_scan import LINES_Y, SmallScan, header

from smug_recon.gadgets.readouts.assemble import weights
from smug_recon.simulation.truth.scores import score

TINY: dict[str, Any] = {"matrix_xy": (24, 32), "coils": 4, "acs": 16, "acceleration": 1.0}
COUNTERS = ("slice", "contrast", "phase", "repetition", "set")


def run(raw: Any, model: Any, items: list[Any] | None = None) -> Result:
    return reconstructed(items or readouts_of(raw), header_of(raw), model)


def truth_by_counters(truth: Any) -> dict[tuple[int, ...], np.ndarray]:
    columns = [getattr(truth, f"{name}_s").tolist() for name in COUNTERS]
    return dict(zip(zip(*columns, strict=True), truth.whitened_syx, strict=True))


@pytest.mark.parametrize(
    "settings",
    [
        {"slices": 3, "contrasts": 2},
        {"slices": 2, "phases": 3, "segments": 2},
        {"slices": 2, "repetitions": 3, "interleaved": False},
        {"sets": 2, "repetitions": 2, "averages": 2},
    ],
    ids=lambda settings: ",".join(settings),
)
@pytest.mark.parametrize("flags", [True, False], ids=["flags", "no flags"])
def test_every_image_has_the_pixels_of_its_counters(
    settings: dict[str, Any], flags: bool, conventional_model: Any
) -> None:
    raw = scan(**{**TINY, **settings})
    items = readouts_of(raw)
    if not flags:
        for readout in items:
            if not readout.flags & NOISE:
                readout.clearAllFlags()
    found = run(raw, conventional_model, items)
    truth = truth_by_counters(raw.truth)
    assert len(found.images) == len(truth)
    places = [tuple(getattr(image, name) for name in COUNTERS) for image in found.images]
    assert sorted(places) == sorted(truth)
    ours = np.stack([image.data[0, 0] for image in found.images])
    right = score(ours, np.stack([truth[place] for place in places])).nrmse
    assert right < 0.06
    wrong = score(ours, np.stack([truth[place] for place in [*places[1:], places[0]]])).nrmse
    assert wrong > 1.5 * right  # the images do differ: a permutation would be seen


def test_image_numbers_run_over_slices_first_then_contrasts_phases_sets_repetitions(
    conventional_model: Any,
) -> None:
    found = run(scan(**{**TINY, "slices": 2, "contrasts": 2}), conventional_model)
    numbers = {(image.contrast, image.slice): image.image_index for image in found.images}
    assert numbers == {(0, 0): 1, (0, 1): 2, (1, 0): 3, (1, 1): 4}


def test_averages_lower_the_noise(conventional_model: Any) -> None:
    """Four averages of a noisy scan have half the error of one."""
    settings = {**TINY, "snr": 4.0, "averages": 4, "calibration": "none"}
    raw = scan(**settings)
    noise, lines = parts_of(raw)
    first = [line for line in lines if line.idx.average == 0]
    errors = [
        run(raw, conventional_model, [*noise, *some]).nrmse(raw.truth.whitened_syx) for some in (lines, first)
    ]
    assert errors[0] / errors[1] == pytest.approx(1 / 2, abs=0.1)


def test_weights_are_the_inverse_noise_variance() -> None:
    """A line averaged k times has a k-th of the variance: w = k / max k; none where all are equal."""
    lines: Any = {2: [0], 3: [0, 0], 5: [0, 0, 0, 0]}
    used = torch.tensor([False, False, True, True, False, True])
    assert weights(lines, 6, used).tolist() == [0, 0, 0.25, 0.5, 0, 1.0]  # type: ignore[union-attr]
    used[2] = False
    assert weights(lines, 6, used).tolist() == [0, 0, 0, 0.5, 0, 1.0]  # type: ignore[union-attr]
    assert weights({1: [0, 0], 2: [0, 0]}, 4, used[:4]) is None  # type: ignore[list-item]


def test_lines_averaged_unequally_often_are_weighed(conventional_model: Any) -> None:
    """Half the lines acquired once, half of them eight times, undersampled: weighing beats treating them alike."""
    errors: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(3):
        raw = scan(
            **{
                **TINY,
                "matrix_xy": (32, 48),
                "coils": 8,
                "snr": 5.0,
                "averages": 8,
                "calibration": "none",
                "seed": seed,
            }
        )
        noise, lines = parts_of(raw)
        centre = range(16, 32)
        kept = [
            line
            for line in lines
            if (line.idx.kspace_encode_step_1 % 3 and line.idx.average == 0)
            or (line.idx.kspace_encode_step_1 % 3 == 0)
            or (line.idx.kspace_encode_step_1 in centre and line.idx.average == 0)
        ]
        for weighed in (True, False):
            with pytest.MonkeyPatch.context() as patch:
                if not weighed:
                    patch.setattr("smug_recon.gadgets.readouts.assemble.weights", lambda *_: None)
                found = run(raw, conventional_model, [*noise, *kept])
            errors[weighed].append(found.nrmse(raw.truth.whitened_syx))
    assert np.mean(errors[True]) < np.mean(errors[False])


def test_the_weights_reach_data_consistency(conventional_model: Any) -> None:
    seen: list[torch.Tensor] = []
    plain = conventional_model.forward
    conventional_model.forward = lambda *inputs: seen.append(inputs[2]) or plain(*inputs)
    scan_ = SmallScan()
    scan_.add_slice(lines=list(range(LINES_Y)), last=False)
    scan_.add_slice(lines=list(range(20, 28)), last=False, average=1)
    reconstructed(scan_.readouts, header(averages=2), conventional_model)
    assert seen[0][0, 24] == 1.0
    assert seen[0][0, 4] == 0.5


def test_several_measurements_in_one_stream_are_told_apart_by_their_counters(conventional_model: Any) -> None:
    """A second measurement that counts its repetitions on: nothing of the first leaks into it."""
    raw = scan(**TINY)
    noise, lines = parts_of(raw)
    again = parts_of(raw)[1]
    for line in again:
        line.idx.repetition = 1
        line.scan_counter += 1000
        line.measurement_uid = 7
        line.data[:] *= 2
    found = run(raw, conventional_model, [*noise, *lines, *again])
    assert [image.repetition for image in found.images] == [0, 1]
    ratio = np.linalg.norm(found.images[1].data) / np.linalg.norm(found.images[0].data)
    assert ratio == pytest.approx(2, rel=1e-3)


MEMORY = """
import sys
sys.path.insert(0, {folder!r})
import logging
import ismrmrd, numpy as np, torch
logging.disable(logging.CRITICAL)
from conventional import ConventionalModel
from small_scan import header
from smug_recon.gadgets.model.file import read_card
from smug_recon.gadgets.flow.memory import peak_rss_mb
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline
LINES, SAMPLES = 128, 1024
pipeline = load_pipeline()
class Plain(ConventionalModel):
    def forward(self, kspace, maps, mask, seed, samples):
        return torch.fft.ifft(kspace.sum(1), dim=1), torch.zeros(1)
model = Plain(read_card(pipeline.model_path))
head = header(limits=False, calibration=None)
for space in (head.encoding[0].encodedSpace, head.encoding[0].reconSpace):
    space.matrixSize.x, space.matrixSize.y = SAMPLES, LINES
    space.fieldOfView_mm.x = 192.0
def stream(repetitions):
    line_cx = np.ones((1, SAMPLES), np.complex64)
    for counter in range(repetitions * LINES):
        readout = ismrmrd.Acquisition.from_array(line_cx)
        readout.center_sample = SAMPLES // 2
        readout.scan_counter = counter
        readout.idx.kspace_encode_step_1 = counter % LINES
        readout.idx.repetition = counter // LINES
        yield readout
for repetitions in (5, 60):
    sent = []
    run(stream(repetitions), lambda image: sent.append(1), head, pipeline, model)
    assert len(sent) == repetitions, len(sent)
    print(peak_rss_mb())
"""


def test_memory_does_not_grow_with_the_number_of_repetitions() -> None:
    """60 repetitions of 1 MB need as much as 5: what is done is let go, without any flag."""
    code = MEMORY.format(folder=str(Path(__file__).parent))
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=400, check=False
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    few, many = (float(line) for line in answer.stdout.split()[-2:])
    assert many - few < 15.0  # MB; the samples of the further repetitions alone are 55


def test_calibration_lines_of_finished_repetitions_are_let_go() -> None:
    from smug_recon.gadgets.flow.timing import Report
    from smug_recon.gadgets.header.plan import build_plan
    from smug_recon.gadgets.readouts.arrival import Arrival
    from smug_recon.gadgets.readouts.gather import Gatherer
    from smug_recon.gadgets.readouts.oversampling import remove_oversampling
    from smug_recon.gadgets.readouts.slice_end import SliceEnd
    from smug_recon.pipeline import load_pipeline

    head, arrival, report = header(repetitions=9, calibration="separate"), Arrival(), Report()
    plan = build_plan(head, load_pipeline())
    gatherer = Gatherer(plan, arrival, SliceEnd.of(head, plan), report)
    for repetition in range(9):
        source = SmallScan(counter=repetition * 100)
        centre, outer = list(range(16, 32)), list(range(0, LINES_Y, 2))
        source.add_slice(
            lines=centre, last=False, centre_flag=ismrmrd.ACQ_IS_PARALLEL_CALIBRATION, repetition=repetition
        )
        source.add_slice(lines=outer, centre_flag=ismrmrd.ACQ_USER1, repetition=repetition)
        for readout in remove_oversampling(arrival.watch(source.readouts), plan, report):
            gatherer.add(readout)
            for key in gatherer.complete():
                assert gatherer.release(key).calibration
    assert len(gatherer.calibration) <= 2
