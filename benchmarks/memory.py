"""Memory: the peak of a process of its own while it reconstructs, over slices, over repetitions, and with many coils."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ismrmrd

from smug_recon.benchmarks.growth import reset_peak_mb
from smug_recon.benchmarks.latency import without_waits
from smug_recon.benchmarks.machine import machine
from smug_recon.benchmarks.record import Result, Row
from smug_recon.benchmarks.scene import scan_of, shipped_model, shipped_pipeline
from smug_recon.benchmarks.sizes import SIZES, Size
from smug_recon.errors import DataError
from smug_recon.gadgets.flow.memory import peak_rss_mb
from smug_recon.gadgets.scan import run as reconstruct

FEW, MANY = 8, 24
"""Slices, or repetitions; with fewer the chain, which reads on, does not yet have as many in hand as in a long scan."""
TIMES = 2
"""Runs of each; how far the chain has read on when memory is highest differs from run to run."""
MOST_MB = 1500.0
LIMIT_S = 600


def run(size: Size) -> Result:
    """Measure at a size; each figure is the peak of a child process from the first line of the scan to its last image."""
    rows = []
    for what in ("slices", "repetitions"):
        few, many = (
            max(peak_of(size.name, what, count, size.coils) for _ in range(TIMES)) for count in (FEW, MANY)
        )
        value = many / few
        note = f"{few:.0f} and {many:.0f} MB, the larger of {TIMES} runs"
        name = f"peak with {MANY} {what} against {FEW} {what}"
        rows.append(Row(name, "times", value, value, value, 1.05, at_least=False, note=note))
    most = peak_of(size.name, "slices", FEW, size.many_coils)
    name = f"peak with {size.many_coils} coils"
    rows.append(Row(name, "MB", most, most, most, MOST_MB, at_least=False))
    about = f"{size.matrix_yx[0]}x{size.matrix_yx[1]}, {size.coils} coils unless stated, shipped pipeline on the CPU."
    return Result("memory", size.name, about, machine(), rows)


def peak_of(size: str, what: str, count: int, coils: int) -> float:
    """Return the peak memory in MB of a process that reconstructs ``count`` slices or repetitions."""
    code = "import sys; from smug_recon.benchmarks.memory import child; child(*sys.argv[1:])"
    command = [sys.executable, "-c", code, size, what, str(count), str(coils)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=os.environ
    )
    if done.returncode != 0:
        raise DataError(
            f"a measuring process that failed ({done.stderr.strip()[-300:]})",
            "its peak memory",
            "run it by hand",
        )
    return float(json.loads(done.stdout.splitlines()[-1])["peak_rss_mb"])


def child(size_name: str, what: str, count: str, coils: str) -> None:
    """Reconstruct a scan in this process and print its peak memory as JSON."""
    size = replace(SIZES[size_name], coils=int(coils))
    raw = scan_of(size.matrix_yx, size.coils, size.acs)
    header = ismrmrd.xsd.CreateFromDocument(raw.xml)
    limits = header.encoding[0].encodingLimits
    limit = limits.slice if what == "slices" else limits.repetition
    limit.maximum = int(count) - 1
    images: list[float] = []

    def send(item: Any) -> None:
        images.append(float(item.data.max()))

    readouts, pipeline, model = list(raw.acquisitions()), shipped_pipeline(), shipped_model()
    reset_peak_mb()  # the simulation needs more than the reconstruction
    items = repeated(readouts, what, int(count))
    reconstruct(items, send, header, pipeline, model, halt=without_waits)
    assert len(images) == int(count), f"{len(images)} images"
    print(json.dumps({"peak_rss_mb": peak_rss_mb(), "images": len(images)}))


def repeated(readouts: list[ismrmrd.Acquisition], what: str, count: int) -> Iterator[ismrmrd.Acquisition]:
    """Yield the imaging readouts of one slice again and again, as other slices or repetitions; the noise scan once."""
    counter = 0
    for number in range(count):
        for readout in readouts:
            noise = readout.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
            if noise and number:
                continue
            head = ismrmrd.AcquisitionHeader.from_buffer_copy(bytes(readout.getHead()))
            head.scan_counter = counter
            if not noise:
                setattr(head.idx, "slice" if what == "slices" else "repetition", number)
            head.flags &= ~(
                (1 << (ismrmrd.ACQ_LAST_IN_MEASUREMENT - 1)) | (1 << (ismrmrd.ACQ_LAST_IN_REPETITION - 1))
            )
            counter += 1
            copy = ismrmrd.Acquisition(head)
            copy.data[:] = readout.data
            yield copy
