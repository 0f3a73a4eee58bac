"""The table of a GPU, unattended: network against its roofline, ESPIRiT, batches, latency at scanner rate, memory.

``smug-recon bench gpu --size full -o DIR`` on a machine with one. Without a GPU the same code runs on the CPU at its smallest
size, and the result says so: the seconds of such a run mean nothing.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import ismrmrd
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from smug_recon.benchmarks.espirit import block_of
from smug_recon.benchmarks.latency import Paced
from smug_recon.benchmarks.machine import machine
from smug_recon.benchmarks.record import Result, Row
from smug_recon.benchmarks.scene import inputs, relative, scan_of, shipped_model, shipped_pipeline
from smug_recon.benchmarks.sizes import SIZES, Size
from smug_recon.benchmarks.smug import SEED, unrolled
from smug_recon.calibration import espirit_maps
from smug_recon.gadgets.scan import run as reconstruct
from smug_recon.network import Didn
from smug_recon.network.unrolling import Unrolled

PRECISIONS = {"fp32": torch.float32, "TF32": torch.float32, "bf16": torch.bfloat16}
FLOOR_AIM, SLICE_AIM_MS = 1.5, 15.0


@torch.inference_mode()
def run(size: Size) -> Result:
    """Measure on the GPU, or the smallest size on the CPU."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size = size if device.type == "cuda" else SIZES["quick"]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    rows = [
        *of_shipped(size, device),
        *of_didn(size, device),
        *of_maps(size, device),
        *of_stream(size, device),
    ]
    if device.type == "cuda":
        most = torch.cuda.max_memory_allocated(device) / 1e6
        rows.append(Row("GPU memory, all of this", "MB", most, most, most))
    where = (
        "on the GPU"
        if device.type == "cuda"
        else "NO GPU: the CPU at the smallest size, a trial of the script"
    )
    about = f"{where}; {size.matrix_yx[0]}x{size.matrix_yx[1]}, {size.coils} coils, R = 4."
    return Result("gpu", size.name, about, machine(), rows)


def of_shipped(size: Size, device: torch.device) -> list[Row]:
    """The default pipeline's model: one slice in fp32 and TF32, and batches of slices."""
    kspace_bcyx, maps_bcyx, mask_by = (value.to(device) for value in inputs(size))
    model, rows = shipped_model(device.type), []

    def call(slices: int = 1) -> Tensor:
        batch = [
            value.expand(slices, *value.shape[1:]).contiguous() for value in (kspace_bcyx, maps_bcyx, mask_by)
        ]
        return model.forward(batch[0], batch[1], batch[2], 0, 2)[0]

    with precision("fp32"):
        truth = call()
    for name in ("fp32", "TF32"):
        with precision(name):
            found_ms = timed_ms(call, device, size.many)
            same = relative(call(), truth)
        aim = SLICE_AIM_MS if device.type == "cuda" else None
        rows.append(_row(f"shipped model, one slice, {name}", "ms", found_ms, aim, {"to fp32": same}))
    for slices in (2, 8):
        found_ms = timed_ms(partial(call, slices), device, size.rounds)
        rows.append(
            _row(f"shipped model, {slices} slices as a batch", "ms a slice", [ms / slices for ms in found_ms])
        )
    return rows


def of_didn(size: Size, device: torch.device) -> list[Row]:
    """DIDN with n = 2 and 10 in every precision: time over operations divided by the measured peak."""
    arguments = [value.to(device) for value in inputs(size)]
    torch.manual_seed(0)
    denoiser, rows = Didn(size.blocks, size.width).eval(), []
    one = torch.zeros(1, 2, *size.matrix_yx)
    with FlopCounterMode(display=False) as counter:
        denoiser(one)
    for copies, sampling in ((2, "antithetic"), (size.copies, "independent")):
        truth = None
        for name, dtype in PRECISIONS.items():
            network = unrolled(copy.deepcopy(denoiser).to(device, dtype), size.steps, sampling).to(device)
            with precision(name):
                work = partial(_image, network, arguments, copies)
                found_ms = timed_ms(work, device, size.rounds)
                image = work()
                peak = peak_per_s(dtype, device, 256 if size.name == "quick" else 4096)
            truth = image if truth is None else truth
            floor_ms = 1000 * counter.get_total_flops() * copies * size.steps / peak
            text = f"DIDN, n={copies}, {name}"
            rows.append(_row(text, "ms", found_ms, None, {"to fp32": relative(image, truth)}))
            over = [ms / floor_ms for ms in found_ms]
            aim = FLOOR_AIM if device.type == "cuda" else None
            rows.append(_row(f"{text}, over the floor", "times", over, aim))
    return rows


def of_maps(size: Size, device: torch.device) -> list[Row]:
    """ESPIRiT on the device."""
    block_cyx = block_of(size).to(device)
    kernel = min(6, size.acs // 3)
    found_ms = timed_ms(
        lambda: espirit_maps(block_cyx, size.matrix_yx, kernel=kernel, crop=0.0), device, size.many
    )
    return [_row("ESPIRiT", "ms", found_ms)]


def of_stream(size: Size, device: torch.device) -> list[Row]:
    """From the last line to the image, lines at the rate of a scanner, many channels, through the whole chain."""
    raw = scan_of(size.matrix_yx, size.many_coils, size.acs)
    header = ismrmrd.xsd.CreateFromDocument(raw.xml)
    readouts, pipeline = list(raw.acquisitions()), shipped_pipeline(device=device.type)
    model, found_ms = shipped_model(device.type), []
    for number in range(size.rounds + 1):
        lines, sent_s = Paced(readouts, size.tr_s), [0.0]

        def send(item: Any, sent: list[float] = sent_s) -> None:
            sent[0] = time.perf_counter()

        reconstruct(lines, send, header, pipeline, model)
        if number:  # the first run compiles
            found_ms.append(1000 * (sent_s[0] - lines.last_s))
    name = f"last line to image, {size.many_coils} channels, one line every {1000 * size.tr_s:g} ms"
    return [_row(name, "ms", found_ms)]


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Let products and convolutions of fp32 use TF32, or not."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "TF32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def timed_ms(work: Callable[[], Any], device: torch.device, rounds: int) -> list[float]:
    """Return the milliseconds of every round, the device waited for."""
    found, warm_up = [], 3 if device.type == "cuda" else 1
    for number in range(warm_up + rounds):
        _wait(device)
        start_s = time.perf_counter()
        work()
        _wait(device)
        if number >= warm_up:
            found.append(1000 * (time.perf_counter() - start_s))
    return found


def peak_per_s(dtype: torch.dtype, device: torch.device, side: int) -> float:
    """Return the floating-point operations a second of a square matrix product, in the precision that is set."""
    a = torch.randn(side, side, device=device).to(dtype)
    return 1000 * 2.0 * side**3 / min(timed_ms(lambda: a @ a, device, 5))


def _image(network: Unrolled, arguments: list[Tensor], copies: int) -> Tensor:
    image_byx: Tensor = network(*arguments, SEED, copies)[0]
    return image_byx


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _row(
    name: str,
    unit: str,
    found: list[float],
    aim: float | None = None,
    accuracy: dict[str, float] | None = None,
) -> Row:
    middle = float(torch.tensor(found, dtype=torch.float64).median())
    return Row(name, unit, middle, min(found), max(found), aim, at_least=False, accuracy=accuracy or {})
