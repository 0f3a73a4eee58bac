"""Reading on: the next slice is received while one is reconstructed, against one thread; from the last line to the last image."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import ismrmrd

from smug_recon.benchmarks.interleave import interleave
from smug_recon.benchmarks.latency import Paced, without_waits
from smug_recon.benchmarks.machine import machine
from smug_recon.benchmarks.memory import repeated
from smug_recon.benchmarks.record import Result, speed_row
from smug_recon.benchmarks.scene import scan_of, shipped_model, shipped_pipeline
from smug_recon.benchmarks.sizes import Size
from smug_recon.gadgets.scan import run as reconstruct

SLICES = 2
ONE, TWO = "one thread", "reading on"


def run(size: Size) -> Result:
    """Measure at a size, with the shipped pipeline; a line that is not taken waits, as in a socket."""
    raw = scan_of(size.matrix_yx, size.coils, size.acs)
    header = ismrmrd.xsd.CreateFromDocument(raw.xml)
    header.encoding[0].encodingLimits.slice.maximum = SLICES - 1
    readouts = list(repeated(list(raw.acquisitions()), "slices", SLICES))
    model, pipeline = shipped_model(), shipped_pipeline()
    after_s: dict[str, list[float]] = {ONE: [], TWO: []}

    def of(name: str) -> list[Any]:
        lines, sent_s, images = Paced(readouts, size.tr_s), [0.0], []

        def send(item: Any) -> None:
            sent_s[0] = time.perf_counter()
            images.append(item.data)

        reconstruct(lines, send, header, pipeline, model, halt=without_waits if name == TWO else None)
        after_s[name].append(sent_s[0] - lines.last_s)
        return images

    rounds = max(size.rounds, 3)
    times, found = interleave({name: partial(of, name) for name in after_s}, rounds)
    for name, own in times.items():
        own.wall_s[:] = after_s[name][-rounds:]
    same = all((a == b).all() for a, b in zip(found[ONE], found[TWO], strict=True))
    rows = [
        speed_row(
            f"{SLICES} slices, last line to last image, {TWO} against {ONE}",
            times,
            ONE,
            TWO,
            accuracy={"equal pixels": float(same)},
        )
    ]
    about = (
        f"{SLICES} slices of {size.coils} coils, {size.matrix_yx[0]}x{size.matrix_yx[1]}, {len(readouts)} readouts, one "
        f"every {1000 * size.tr_s:g} ms, shipped pipeline. Processor time is that of the whole scan."
    )
    return Result("overlap", size.name, about, machine(), rows)
