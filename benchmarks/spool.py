"""The spool: what keeping the raw data on disk costs a session, at full speed and at the rate of a scanner.

    python -m smug_recon.benchmarks.spool [quick|small|full] [FOLDER]

FOLDER lies on the disk that is to be measured (default: the folder for temporary files).
"""

from __future__ import annotations

import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ismrmrd
import torch

from smug_recon.benchmarks.interleave import interleave, ratio
from smug_recon.benchmarks.machine import machine
from smug_recon.benchmarks.receiving import SCANNER_LINES_PER_S, over_socket
from smug_recon.benchmarks.record import TIMES, Result, Row, markdown
from smug_recon.benchmarks.scene import scan_of, shipped_pipeline
from smug_recon.benchmarks.sizes import SIZES, Size
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.stream import gathered
from smug_recon.gadgets.wire.connection import ends_slice
from smug_recon.gadgets.wire.protocol import Limits
from smug_recon.gadgets.wire.readers import read_acquisition
from smug_recon.gadgets.wire.sockets import GuardedSocket
from smug_recon.pipeline import SpoolSettings
from smug_recon.spool import Keeping

WITHOUT, WITH = "without a spool", "with a spool"
SLICES = 6
MOST_ROUNDS = 5
Work = Callable[[list[Any]], None]
Seconds = dict[str, list[float]]


def run(size: Size, folder: Path | None = None) -> Result:
    """Measure at a size, on one thread of torch; the spools lie in ``folder`` and are removed."""
    matrix_yx = (size.matrix_yx[0], 256) if size.name == "full" else size.matrix_yx
    raw = scan_of(matrix_yx, size.many_coils, size.acs, SLICES)
    readouts = list(raw.acquisitions())
    header = ismrmrd.xsd.CreateFromDocument(raw.xml)
    plan = build_plan(header, shipped_pipeline())
    payload = b"".join(b"\xf0\x03" + bytes(item.getHead()) + item.data.tobytes() for item in readouts)
    count, threads = len(readouts), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory(prefix="spools-", dir=folder) as spools:
            settings = SpoolSettings.model_validate({"folder": spools, "days": 0})

            def chain(items: list[Any]) -> None:
                for _ in gathered(items, plan, header, Report()):
                    pass

            def nothing(items: list[Any]) -> None: ...

            rows = []
            for name, work in (("receiving", nothing), ("receiving and the chain before the network", chain)):
                scan_s: dict[str, list[float]] = {WITHOUT: [], WITH: []}
                end_s: dict[str, list[float]] = {WITHOUT: [], WITH: []}

                def case(
                    kept: str, work: Work = work, scan_s: Seconds = scan_s, end_s: Seconds = end_s
                ) -> None:
                    spent = session(payload, count, settings if kept == WITH else None, work)
                    scan_s[kept].append(spent[0])
                    end_s[kept].append(spent[1])

                rounds = min(size.many, MOST_ROUNDS)
                times, _ = interleave({kept: partial(case, kept) for kept in scan_s}, rounds, warm_up=0)
                found = ratio(scan_s[WITHOUT], scan_s[WITH])
                cpu = ratio(times[WITHOUT].cpu_s, times[WITH].cpu_s).value
                rows.append(
                    Row(
                        f"{name}, {WITH} against {WITHOUT}",
                        TIMES,
                        found.value,
                        found.low,
                        found.high,
                        cpu_ratio=cpu,
                    )
                )
                if work is nothing:
                    more_s = [b - a for a, b in zip(times[WITHOUT].cpu_s, times[WITH].cpu_s, strict=True)]
                    shares = [100 * SCANNER_LINES_PER_S * spent / count for spent in more_s]
                    name = f"the spool at {SCANNER_LINES_PER_S:g} lines/s"
                    rows.append(_row(name, "% of a core", shares, 5.0))
                    rows.append(_row("synced and closed after the end", "ms", [1e3 * t for t in end_s[WITH]]))
    finally:
        torch.set_num_threads(threads)
    coils, samples = readouts[-1].data.shape
    about = f"{count} lines, {coils} coils x {samples} samples, {SLICES} slices, {len(payload) / 1e6:.0f} MB."
    return Result("spool", size.name, about, machine(), rows)


def _row(name: str, unit: str, found: list[float], aim: float | None = None) -> Row:
    return Row(name, unit, statistics.median(found), min(found), max(found), aim, at_least=False)


def session(payload: bytes, count: int, settings: SpoolSettings | None, work: Work) -> tuple[float, float]:
    """One session; seconds until its last line is worked on, and from there until its spool is synced and closed."""
    keeping, began = Keeping(settings), time.perf_counter()

    def receive(here: socket.socket, lines: int) -> list[Any]:
        source, found = GuardedSocket(here, Limits()), []
        if settings is not None:
            keeping.hear(b"\2\0\1\0\0\0a\3\0\1\0\0\0b")
            keeping.begin()
            source.listen_in(keeping.hear, keeping.slice_ended)
        for _ in range(lines):
            source.begin_message()
            found.append(read_acquisition(source))
            source.end_message()
            if ends_slice(found[-1]):
                source.at_slice_end()
        return found

    work(over_socket(payload, count, receive))
    scanned = time.perf_counter()
    keeping.end()
    if keeping.trouble:
        raise RuntimeError(f"the spool broke off: {keeping.trouble}")
    return scanned - began, time.perf_counter() - scanned


def main() -> None:
    """Print the table."""
    size = SIZES[sys.argv[1] if len(sys.argv) > 1 else "small"]
    print(markdown(run(size, Path(sys.argv[2]) if len(sys.argv) > 2 else None)))


if __name__ == "__main__":
    main()
