"""Receiving: what the chain before the network costs of one core while a scanner sends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import ismrmrd
from gadgetron.external.connection import Connection
from gadgetron.external.readers import read_acquisition as read_stock

from smug_recon.benchmarks.interleave import interleave
from smug_recon.benchmarks.machine import machine, one_thread
from smug_recon.benchmarks.record import Result, Row, speed_row
from smug_recon.benchmarks.scene import scan_of, shipped_pipeline
from smug_recon.benchmarks.sizes import Size
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.stream import gathered
from smug_recon.gadgets.wire.protocol import Limits
from smug_recon.gadgets.wire.readers import read_acquisition
from smug_recon.gadgets.wire.sockets import GuardedSocket

SCANNER_LINES_PER_S = 333.0
"""A readout every 3 ms."""
STOCK, READER, CHAIN = "gadgetron's reader", "our reader", "chain before the network"


def run(size: Size) -> Result:
    """Measure at a size, on one thread: the computation of a line, processor time."""
    matrix_yx = (size.matrix_yx[0], 256) if size.name == "full" else size.matrix_yx
    raw = scan_of(matrix_yx, size.many_coils, size.acs)
    readouts = list(raw.acquisitions())
    header = ismrmrd.xsd.CreateFromDocument(raw.xml)
    plan = build_plan(header, shipped_pipeline())
    payload = b"".join(bytes(readout.getHead()) + readout.data.tobytes() for readout in readouts)
    count = len(readouts)
    with one_thread():
        cases = {
            STOCK: lambda: over_socket(payload, count, stock),
            READER: lambda: over_socket(payload, count, guarded),
            CHAIN: lambda: [None for _ in gathered(readouts, plan, header, Report())],
        }
        times, _ = interleave(cases, size.many)
        measured_on = machine()

    def share(cpu_s: float) -> float:
        return 100 * SCANNER_LINES_PER_S * cpu_s / count

    rows = [speed_row(f"{READER} against {STOCK}", times, STOCK, READER)]
    chain, reader = times[CHAIN], times[READER]
    both = [share(a + b) for a, b in zip(chain.cpu_s, reader.cpu_s, strict=True)]
    alone = [share(seconds) for seconds in chain.cpu_s]
    name, unit = f"{CHAIN} at 333 lines/s", "% of a core"
    rows.append(Row(name, unit, share(chain.median_cpu_s), min(alone), max(alone), 5.0, at_least=False))
    value = share(chain.median_cpu_s + reader.median_cpu_s)
    rows.append(Row(f"{name}, reading and sending to it included", unit, value, min(both), max(both)))
    coils, samples = readouts[-1].data.shape
    about = f"{count} lines, noise scan and one slice, {coils} coils x {samples} samples, one thread."
    return Result("receiving", size.name, about, measured_on, rows)


def over_socket(payload: bytes, count: int, receive: Callable[[socket.socket, int], list[Any]]) -> list[Any]:
    """Send acquisitions through a pair of sockets and receive them; sending is part of the time."""
    here, there = socket.socketpair()
    sender = threading.Thread(target=there.sendall, args=(payload,))
    sender.start()
    try:
        return receive(here, count)
    finally:
        here.close()
        sender.join()
        there.close()


def stock(here: socket.socket, count: int) -> list[Any]:
    """Receive as gadgetron's own connection does."""
    source = Connection.SocketWrapper(here)
    return [read_stock(source) for _ in range(count)]


def guarded(here: socket.socket, count: int) -> list[Any]:
    """Receive with the guarded socket and its reader."""
    source, found = GuardedSocket(here, Limits()), []
    for _ in range(count):
        found.append(read_acquisition(source))
        source.end_message()
    return found
