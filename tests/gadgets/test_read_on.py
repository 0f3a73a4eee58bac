"""Reading on while slices are reconstructed: order, errors, back-pressure and early ends are those of one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from small_scan import SmallScan, header, sampled_lines

from smug_recon.errors import DataError, StreamError
from smug_recon.gadgets import read_on
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.read_on import ReadOn
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline

LONG_S = 60


def not_halted(on: bool) -> None:
    """These sources end their waits themselves."""


def no_reader_left() -> bool:
    return not any(thread.name == "read on" for thread in threading.enumerate())


def scan_of(slices: int, late_noise: bool = False) -> list[Any]:
    scan = SmallScan()
    if not late_noise:
        scan.add_noise_scan()
    for number in range(slices):
        scan.add_slice(number, sampled_lines())
        if late_noise and number == 0:
            scan.add_noise_scan()
    return scan.readouts


def images_of(
    readouts: Any,
    model: Any,
    halt: Callable[[bool], None] | None,
    slices: int = 3,
    report: Report | None = None,
) -> list[np.ndarray]:
    sent: list[Any] = []
    run(readouts, sent.append, header(slices=slices), load_pipeline(), model, report, halt=halt)
    return [np.array(image.data) for image in sent]


@pytest.mark.parametrize("late_noise", [False, True], ids=["noise first", "noise behind the first slice"])
def test_the_pixels_are_those_of_one_thread_bit_for_bit(conventional_model: Any, late_noise: bool) -> None:
    """Noise behind the first slice is not used, however far the reader is when that slice is whitened."""
    usual_report, report = Report(), Report()
    usual = images_of(scan_of(3, late_noise), conventional_model, None, report=usual_report)
    found = images_of(scan_of(3, late_noise), conventional_model, not_halted, report=report)
    assert len(found) == 3 and all(map(np.array_equal, found, usual))
    assert sorted(report.warnings) == sorted(usual_report.warnings)
    assert report.lines == usual_report.lines and report.slices == usual_report.slices == 3
    assert {name for name in report.seconds if name != "other"} == set(usual_report.seconds) - {"other"}
    assert report.calls == usual_report.calls
    assert no_reader_left()


def test_a_slice_is_reconstructed_while_the_next_is_read(conventional_model: Any) -> None:
    """The last line of the second slice is taken before the first image is sent, and sending waits for that."""
    taken, readouts = threading.Event(), scan_of(2)

    def arriving() -> Iterator[Any]:
        yield from readouts[:-1]
        taken.set()
        yield readouts[-1]

    waited: list[bool] = []
    head = header(slices=2)
    run(
        arriving(),
        lambda _: waited.append(taken.wait(LONG_S)),
        head,
        load_pipeline(),
        conventional_model,
        halt=not_halted,
    )
    assert waited == [True, True]


def test_what_breaks_off_is_raised_behind_the_slices_that_were_complete(conventional_model: Any) -> None:
    readouts = scan_of(2)

    def broken() -> Iterator[Any]:
        yield from readouts[:-3]
        raise StreamError("the end of the stream", "a close message", "look")

    sent: list[Any] = []
    with pytest.raises(StreamError, match="the end of the stream"):
        run(broken(), sent.append, header(slices=2), load_pipeline(), conventional_model, halt=not_halted)
    assert len(sent) == 1 and no_reader_left()


def test_an_error_of_the_chain_ends_the_reader_even_if_the_host_is_silent(conventional_model: Any) -> None:
    """The source waits until it is halted, and not a line more is read behind the end."""
    halted, readouts, closed = threading.Event(), scan_of(1), []

    def silent() -> Iterator[Any]:
        try:
            yield from readouts
            assert halted.wait(LONG_S)
            raise StreamError("a reader that was halted", "nothing", "none")
        finally:
            closed.append(True)

    def halt(on: bool) -> None:
        if on:
            halted.set()

    def send(_: Any) -> None:
        raise DataError("a host that takes nothing", "one that does", "look")

    with pytest.raises(DataError, match="takes nothing"):
        run(silent(), send, header(slices=2), load_pipeline(), conventional_model, halt=halt)
    assert closed == [True] and no_reader_left()


def test_no_more_slices_wait_than_so_many() -> None:
    """With nobody taking anything the reader stops at the bound; what it has read is not lost."""
    made: list[int] = []

    class Whole(read_on.CompleteLines):
        def __init__(self) -> None:
            made.append(len(made))

    full = threading.Event()

    def source() -> Iterator[Any]:
        for _ in range(10):
            item = Whole()
            if len(made) == read_on.SLICES + 2:  # one taken, SLICES waiting, one in hand
                full.set()
            yield item

    items = ReadOn(Report()).items(source())
    next(items)
    assert full.wait(LONG_S)
    assert len(made) == read_on.SLICES + 2
    assert len(list(items)) == 9 and len(made) == 10
    assert no_reader_left()


def test_no_more_is_read_ahead_than_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the consumer is busy; when it waits, everything is read."""
    monkeypatch.setattr(read_on, "AHEAD_BYTES", 5 * 1024)
    read: list[int] = []
    held = threading.Event()
    reading = ReadOn(Report())
    usual = reading._wait_until

    def noted(true: Callable[[], bool]) -> None:
        if true != reading._room:
            held.set()
        usual(true)

    monkeypatch.setattr(reading, "_wait_until", noted)

    def source() -> Iterator[Any]:
        for number in range(40):
            read.append(number)
            yield number

    items = reading.items(number for number in reading.watched(source()))
    assert next(items) == 0
    assert held.wait(LONG_S)
    assert len(read) <= 2 * 5 + 1
    assert list(items) == list(range(1, 40))


def test_what_is_read_ahead_is_counted_from_when_an_item_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """However late the consumer, which waited for it, wakes up: here when the reader has come to the bound."""
    monkeypatch.setattr(read_on, "AHEAD_BYTES", 5 * 1024)
    reading, read, held, late = ReadOn(Report()), [], threading.Event(), []
    changed, usual, usual_wait = reading._changed, reading._wait_until, reading._changed.wait

    def noted(true: Callable[[], bool]) -> None:
        if true != reading._room and not true():
            held.set()
        usual(true)

    def wait(timeout: float | None = None) -> bool:
        found = usual_wait(timeout)
        if threading.current_thread() is threading.main_thread() and not late:
            changed.release()
            late.append(held.wait(LONG_S))
            changed.acquire()
        return found

    monkeypatch.setattr(reading, "_wait_until", noted)
    monkeypatch.setattr(changed, "wait", wait)
    begun = threading.Event()

    def source() -> Iterator[Any]:
        assert begun.wait(LONG_S)
        for number in range(40):
            read.append(number)
            yield number

    monkeypatch.setattr(changed, "notify_all", lambda usual=changed.notify_all: (begun.set(), usual()))
    items = reading.items(number for number in reading.watched(source()))
    assert next(items) == 0 and late == [True]
    assert len(read) <= 2 * 5 + 1
    assert list(items) == list(range(1, 40)) and no_reader_left()


def test_nothing_more_is_read_once_nobody_wants_it() -> None:
    """Of lines that do not make a slice either; at most the one that is on its way."""
    reading, unwanted, first = ReadOn(Report()), [], object()

    def source() -> Iterator[Any]:
        yield first
        while True:
            if reading._closed:
                unwanted.append(True)
            yield 1

    items = reading.items(item for item in reading.watched(source()) if item is first)
    assert next(items) is first
    items.close()  # type: ignore[attr-defined]
    assert len(unwanted) <= 1 and no_reader_left()


def test_a_consumer_that_stops_early_leaves_no_thread() -> None:
    ended = threading.Event()

    def source() -> Iterator[Any]:
        try:
            while True:
                yield 1
        finally:
            ended.set()

    items = ReadOn(Report()).items(source())
    assert next(items) == 1
    items.close()  # type: ignore[attr-defined]
    assert ended.wait(LONG_S) and no_reader_left()


def test_what_both_threads_do_is_booked_and_waiting_is_not() -> None:
    """Stages run in both threads at once; what the reader warns of is logged by the other one."""
    report, threads = Report(), {}

    def source() -> Iterator[Any]:
        threads["source"] = threading.current_thread().name
        report.warn("a warning of the reader")
        yield from range(3)

    stream = ReadOn(report).items(report.timed("receive", source()))
    logged: list[str] = []

    class Kept(read_on.logging.Handler):
        def emit(self, record: Any) -> None:
            logged.append(record.threadName)

    handler = Kept()
    read_on.logging.getLogger("smug_recon").addHandler(handler)
    try:
        assert list(report.timed("network", stream)) == [0, 1, 2]
    finally:
        read_on.logging.getLogger("smug_recon").removeHandler(handler)
    assert threads["source"] == "read on" and logged == [threading.current_thread().name]
    assert report.calls == {"receive": 3, "network": 3} and report.running == "other"
    found = report.as_dict()
    assert sum(stage["seconds"] for stage in found["stages"]) <= 2 * found["wall_seconds"] + 1e-3
