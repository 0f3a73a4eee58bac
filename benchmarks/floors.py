"""The floor of each stage: its operations over the measured peak, its bytes over the measured bandwidth; beside it the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from smug_recon.benchmarks.interleave import interleave
from smug_recon.benchmarks.machine import machine
from smug_recon.benchmarks.record import Result, Row
from smug_recon.benchmarks.scene import inputs
from smug_recon.benchmarks.sizes import Size
from smug_recon.calibration import espirit_maps
from smug_recon.network import Didn, UNet
from smug_recon.physics.columns import columns_first, normal_columns


@dataclass(frozen=True)
class Stage:
    """A piece of work, the floating-point operations that it cannot do without and the bytes that it has to move."""

    name: str
    work: Callable[[], object]
    operations: float
    moved_bytes: float


@torch.inference_mode()
def run(size: Size) -> Result:
    """Measure peak and bandwidth, then the stages, at a size."""
    peak, bandwidth = peak_per_s(size), bandwidth_per_s(size)
    rows = [
        Row("peak, convolution 3x3 of 128 channels, fp32", "GFLOP/s", peak / 1e9, peak / 1e9, peak / 1e9),
        Row("memory bandwidth, copy", "GB/s", bandwidth / 1e9, bandwidth / 1e9, bandwidth / 1e9),
    ]
    for stage in stages(size):
        times, _ = interleave({stage.name: stage.work}, size.rounds + 1)
        spent_s = times[stage.name].median_wall_s
        floor_s = max(stage.operations / peak, stage.moved_bytes / bandwidth)
        found = [seconds / floor_s for seconds in times[stage.name].wall_s]
        note = f"{stage.operations / 1e9:.3g} GFLOP, {stage.moved_bytes / 1e6:.3g} MB"
        seconds = {"floor": floor_s, "measured": spent_s}
        middle, low, high = spent_s / floor_s, min(found), max(found)
        rows.append(Row(stage.name, "times the floor", middle, low, high, seconds=seconds, note=note))
    about = (
        f"{size.matrix_yx[0]}x{size.matrix_yx[1]}, {size.coils} coils. Floor: the larger of operations over peak and of "
        "bytes over bandwidth."
    )
    return Result("floors", size.name, about, machine(), rows)


def stages(size: Size) -> list[Stage]:
    """Return the stages that the time of a slice goes to."""
    _, maps_bcyx, mask_by = inputs(size)
    coils, lines, columns = maps_bcyx.shape[1:]
    image = torch.randn(1, 2, lines, columns)
    level = torch.zeros(1)
    unet = UNet((64, 96, 128, 160) if size.name != "quick" else (8, 12)).eval()
    didn = Didn(size.blocks, size.width).eval()
    image_bxy = columns_first(torch.randn(1, lines, columns, dtype=torch.complex64))
    maps_bxcy = columns_first(maps_bcyx)
    block = torch.randn(coils, size.acs, size.acs, dtype=torch.complex64)
    kernel = min(6, size.acs // 3)
    samples = coils * lines * columns
    line_cx = torch.randn(coils, 2 * columns, dtype=torch.complex64)
    return [
        convolutions("DIDN, one call", lambda: didn(image, level), didn),
        convolutions("U-Net of the shipped model, one call", lambda: unet(image, level), unet),
        # products with the maps (6 + 8 real operations a sample), two transforms of 5 n log2 n, the mask
        Stage(
            "A^H A in blocks, once",
            lambda: normal_columns(image_bxy, maps_bxcy, mask_by),
            samples * (16 + 2 * 5 * _log2(lines)),
            samples * 8.0,
        ),
        Stage(
            "ESPIRiT maps",
            lambda: espirit_maps(block, (lines, columns), kernel=kernel, crop=0.0),
            espirit_operations(coils, size.acs, kernel, (lines, columns)),
            samples * 8.0,
        ),
        Stage(
            "readout transform of one line",
            lambda: torch.fft.ifft(line_cx, norm="ortho"),
            line_cx.numel() * 5 * _log2(2 * columns),
            line_cx.numel() * 16.0,
        ),
    ]


def convolutions(name: str, work: Callable[[], Tensor], module: torch.nn.Module) -> Stage:
    """Return a network's stage: operations as torch counts them, bytes of its weights."""
    with FlopCounterMode(display=False) as counter:
        work()
    return Stage(
        name, work, float(counter.get_total_flops()), 4.0 * sum(w.numel() for w in module.parameters())
    )


def espirit_operations(coils: int, acs: int, kernel: int, shape_yx: tuple[int, int], grid: int = 64) -> float:
    """Return the real operations of ESPIRiT as we compute it: Gram matrix, its eigenproblem, the grid's, interpolation."""
    side = kernel * kernel * coils
    gram = 8.0 * kernel * (kernel * coils) ** 2 * (acs - kernel + 1) * acs
    eigen = 8.0 * (4 / 3 + 2) * side**3
    points = min(grid, shape_yx[0]) * min(grid, shape_yx[1])
    grid_work = 8.0 * points * (coils**3 * 3 + coils**2 * 14)
    wide, narrow = min(grid, shape_yx[1]), min(grid, shape_yx[0])
    resampled = 4.0 * coils * shape_yx[1] * narrow * (wide + shape_yx[0])
    return gram + eigen + grid_work + resampled


def peak_per_s(size: Size) -> float:
    """Return the most floating-point operations a second that the better of a matrix product and a convolution reaches."""
    side, n = (48, 256) if size.name == "quick" else (160, 1024)
    image = torch.randn(1, 128, side, side).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(128, 128, 3, 3)
    a = torch.randn(n, n)
    cases = {"convolution": lambda: functional.conv2d(image, weight, padding=1), "product": lambda: a @ a}
    operations = {"convolution": 2.0 * 9 * 128 * 128 * side * side, "product": 2.0 * n**3}
    times, _ = interleave(cases, 3, warm_up=2)
    return max(operations[name] / min(times[name].wall_s) for name in cases)


def bandwidth_per_s(size: Size) -> float:
    """Return the bytes a second of a copy, read and written, far larger than the caches."""
    count = 2**20 if size.name == "quick" else 2**26
    source, target = torch.ones(count), torch.empty(count)
    times, _ = interleave({"copy": lambda: target.copy_(source)}, 3)
    return 8.0 * count / min(times["copy"].wall_s)


def _log2(size: int) -> float:
    return float(torch.log2(torch.tensor(float(size))))
