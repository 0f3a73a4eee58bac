"""After the last line: from the last readout of a slice to its image, against the bare network call on the same slice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import ismrmrd
import torch

from smug_recon.benchmarks.interleave import interleave
from smug_recon.benchmarks.machine import machine
from smug_recon.benchmarks.record import Result, Row
from smug_recon.benchmarks.scene import inputs, scan_of, shipped_model, shipped_pipeline
from smug_recon.benchmarks.sizes import Size
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.scan import run as reconstruct

#: work of the chain that no line is missing for: it ought to be over when the last one comes
BEFOREHAND = ("coil maps",)


class Paced:
    """Readouts that arrive as from a scanner, one every ``tr_s``; ``last_s`` is when the last one did, taken or not."""

    def __init__(self, readouts: list[ismrmrd.Acquisition], tr_s: float) -> None:
        self.readouts, self.tr_s, self.last_s = readouts, tr_s, 0.0

    def __iter__(self) -> Iterator[ismrmrd.Acquisition]:
        due_s = time.perf_counter()
        for readout in self.readouts:
            due_s += self.tr_s
            time.sleep(max(0.0, due_s - time.perf_counter()))
            self.last_s = due_s
            yield readout


def without_waits(on: bool) -> None:
    """These readouts need no host to be halted: the chain reads on in a thread of its own, as a node does."""


def run(size: Size) -> Result:
    """Measure at a size, with the shipped pipeline."""
    raw = scan_of(size.matrix_yx, size.coils, size.acs)
    header = ismrmrd.xsd.CreateFromDocument(raw.xml)
    readouts, model, pipeline = list(raw.acquisitions()), shipped_model(), shipped_pipeline()
    arguments = inputs(size)
    after_s: list[float] = []
    reports: list[Report] = []

    def chain() -> float:
        lines, sent_s = Paced(readouts, size.tr_s), [0.0]

        def send(item: Any) -> None:
            sent_s[0] = time.perf_counter()

        report = reconstruct(lines, send, header, pipeline, model, Report(), halt=without_waits)
        reports.append(report)
        after_s.append(sent_s[0] - lines.last_s)
        return after_s[-1]

    def bare() -> torch.Tensor:
        return model.forward(*arguments, pipeline.seed, pipeline.samples)[0]

    rounds = max(size.rounds, 3) if size.name == "full" else size.many
    times, _ = interleave({"chain": chain, "network": bare}, rounds, warm_up=2)
    network_s = times["network"].wall_s
    more = [100 * (own / net - 1) for own, net in zip(after_s[-rounds:], network_s, strict=True)]
    beforehand = [sum(report.seconds.get(stage, 0.0) for stage in BEFOREHAND) for report in reports[-rounds:]]
    share = [100 * own / net for own, net in zip(beforehand, network_s, strict=True)]
    seconds = {
        "chain after the last line": median(after_s[-rounds:]),
        "network": times["network"].median_wall_s,
    }
    rows = [
        row("after the last line, above the bare network call", more, 10.0, seconds),
        row("of it coil maps, against the network call", share, None, {"coil maps": median(beforehand)}),
    ]
    about = (
        f"One slice of {size.coils} coils, {size.matrix_yx[0]}x{size.matrix_yx[1]}, {len(readouts)} readouts, one every "
        f"{1000 * size.tr_s:g} ms, shipped pipeline."
    )
    return Result("latency", size.name, about, machine(), rows)


def median(values: list[float]) -> float:
    """Return the median."""
    return float(torch.tensor(values, dtype=torch.float64).median())


def row(name: str, percent: list[float], aim: float | None, seconds: dict[str, float]) -> Row:
    """Return a row of percentages, the fewer the better."""
    return Row(name, "%", median(percent), min(percent), max(percent), aim, at_least=False, seconds=seconds)
