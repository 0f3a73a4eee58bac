"""Work done aside: in order, one at a time, and no thread is left when there is nothing to do."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
import torch

from smug_recon.gadgets.maps.aside import Aside

LONG_S = 60


def threads(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())


def until_none(name: str) -> None:
    end = time.monotonic() + LONG_S
    while threads(name):
        assert time.monotonic() < end
        time.sleep(0.005)


def test_everything_is_done_in_order_by_one_thread_at_a_time_which_then_ends() -> None:
    aside, done, together = Aside("aside 1"), [], []

    def work(number: int) -> int:
        together.append(threads("aside 1"))
        done.append(number)
        return number * number

    futures = [aside.submit(lambda number=number: work(number)) for number in range(20)]
    assert [future.result(LONG_S) for future in futures] == [number * number for number in range(20)]
    assert done == list(range(20)) and set(together) == {1}
    until_none("aside 1")
    assert aside.submit(lambda: 7).result(LONG_S) == 7  # and begins again
    until_none("aside 1")


def test_an_error_comes_with_the_result_and_stops_nothing() -> None:
    aside = Aside("aside 2")

    def broken() -> None:
        raise ValueError("broken")

    first, second = aside.submit(broken), aside.submit(lambda: 1)
    with pytest.raises(ValueError, match="broken"):
        first.result(LONG_S)
    assert second.result(LONG_S) == 1


def test_what_has_not_been_begun_is_dropped() -> None:
    aside, begun, go = Aside("aside 3"), threading.Event(), threading.Event()

    def slow() -> bool:
        begun.set()
        return go.wait(LONG_S)

    first, second = aside.submit(slow), aside.submit(lambda: 1)
    assert begun.wait(LONG_S)
    aside.close()
    go.set()
    assert first.result(LONG_S)
    with pytest.raises(CancelledError):
        second.result(LONG_S)
    until_none("aside 3")


def test_the_workers_of_openmp_go_with_the_thread() -> None:
    """After work in parallel there are no more threads in the process than before."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("threads are counted in /proc")
    before_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.ones(400, 400) @ torch.ones(400, 400)  # the workers of this thread
        aside, before = Aside("aside 4"), len(list(tasks.iterdir()))
        aside.submit(lambda: torch.ones(400, 400) @ torch.ones(400, 400)).result(LONG_S)
        end = time.monotonic() + LONG_S
        while len(list(tasks.iterdir())) > before:
            assert time.monotonic() < end
            time.sleep(0.005)
    finally:
        torch.set_num_threads(before_threads)
