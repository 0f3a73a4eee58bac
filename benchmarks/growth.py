"""How time and memory of the network grow with matrix, coils, slices, copies and steps."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from smug_recon.benchmarks.machine import machine
from smug_recon.benchmarks.record import Curve, Result
from smug_recon.benchmarks.sizes import Size
from smug_recon.gadgets.flow.memory import status_mb
from smug_recon.network import Smug, UNet

RANGES: dict[str, dict[str, list[int]]] = {
    "quick": {"matrix": [32, 48], "coils": [2, 4], "slices": [1, 2], "copies": [1, 2], "steps": [1, 2]},
    "small": {
        "matrix": [64, 96, 128],
        "coils": [2, 4, 8],
        "slices": [1, 2],
        "copies": [1, 2, 4],
        "steps": [1, 2],
    },
    "full": {
        "matrix": [128, 192, 256, 320, 384],
        "coils": [4, 8, 16, 32],
        "slices": [1, 2, 4],
        "copies": [1, 2, 4, 8],
        "steps": [1, 2, 4, 8],
    },
}
USUAL = {
    "quick": {"matrix": 32, "coils": 2, "slices": 1, "copies": 2, "steps": 1},
    "small": {"matrix": 96, "coils": 4, "slices": 1, "copies": 2, "steps": 2},
    "full": {"matrix": 256, "coils": 12, "slices": 1, "copies": 2, "steps": 4},
}


@torch.inference_mode()
def run(size: Size) -> Result:
    """Measure at a size: a network with the denoiser of the shipped model, untrained, one size changed at a time."""
    channels = (8, 12) if size.name == "quick" else (64, 96, 128, 160)
    torch.manual_seed(0)
    network = Smug(UNet(channels), 0.01, steps=1, lam=0.01, iterations=10, tolerance=1e-4).eval()
    curves = []
    for against, values in RANGES[size.name].items():
        seconds, megabytes = [], []
        for value in values:
            own = {**USUAL[size.name], against: value}
            network.steps = own["steps"]
            arguments = problem(own["slices"], own["coils"], own["matrix"])
            spent_s, most_mb = cost(lambda given=arguments, copies=own["copies"]: network(*given, 0, copies))  # type: ignore[misc]
            seconds.append(spent_s)
            megabytes.append(most_mb)
        curves.append(
            Curve(f"cost against {against}", against, [float(v) for v in values], seconds, megabytes)
        )
    usual = ", ".join(f"{name} {value}" for name, value in USUAL[size.name].items())
    about = f"One call of the network (U-Net of the shipped model's size); unless varied: {usual}. MB above the rest."
    return Result("growth", size.name, about, machine(), curves=curves)


def problem(slices: int, coils: int, matrix: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return noise in place of k-space, flat maps and a mask of R = 4: the cost does not depend on the object."""
    generator = torch.Generator().manual_seed(0)
    kspace = torch.randn((slices, coils, matrix, matrix), dtype=torch.complex64, generator=generator)
    mask = torch.zeros((slices, matrix))
    mask[:, ::4] = 1
    return kspace * mask[:, None, :, None], torch.full_like(kspace, coils**-0.5), mask


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of the second run and the memory in MB that it needed above what was held before."""
    work()
    before = reset_peak_mb()
    start_s = time.perf_counter()
    work()
    spent_s = time.perf_counter() - start_s
    return spent_s, max(0.0, (status_mb("VmHWM") or 0.0) - before)


def reset_peak_mb() -> float:
    """Begin to look for a new peak (Linux) and return what is held now; what lies free for reuse is given back before."""
    with contextlib.suppress(OSError, AttributeError):  # of the GNU C library
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return 0.0
    return status_mb("VmRSS") or 0.0


def draw(result: Result, path: Path) -> bool:
    """Draw the curves as PNG; False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(2.6 * len(result.curves), 4.4), layout="constrained")
    axes = figure.subplots(2, len(result.curves), squeeze=False)
    for column, curve in enumerate(result.curves):
        for row, (values, unit) in enumerate(((curve.seconds, "s"), (curve.megabytes, "MB"))):
            place = axes[row][column]
            place.plot(curve.sizes, values, "o-", markersize=3)
            place.set_ylim(bottom=0)
            place.set_xlabel(curve.against)
            place.set_ylabel(unit)
            place.grid(alpha=0.3)
    figure.savefig(path, dpi=100)
    return True
