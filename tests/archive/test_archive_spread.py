"""Jobs in flight: few at a time, each booked once, whatever becomes of a task, a worker or the scheduler."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from distributed import Client

from smug_recon.archive.spread import spread
from smug_recon.errors import StreamError


def nothing(job: dict[str, Any]) -> dict[str, Any]:
    return {"path": job["path"]}


def test_a_thousand_scans_are_never_in_flight_together(scheduler: str) -> None:
    scans, window = 1000, 32
    taken, booked, most = [0], [], [0]

    def jobs() -> Iterator[dict[str, Any]]:
        for number in range(scans):
            taken[0] += 1
            assert taken[0] - len(booked) <= window
            yield {"path": str(number)}

    with Client(scheduler) as client:

        def book(job: dict[str, Any], answer: Any, error: BaseException | None) -> None:
            assert error is None and answer == job
            booked.append(job["path"])
            most[0] = max(most[0], len(client.futures))

        spread(client, jobs(), lambda client, job: client.submit(nothing, job, pure=False), book, window)
    assert sorted(booked, key=int) == [str(number) for number in range(scans)]
    assert most[0] < 10 * window  # Dask lets go of what is done a little later


def broken(job: dict[str, Any]) -> dict[str, Any]:
    if job["path"] == "1":
        raise RuntimeError("a bug")
    return job


def test_a_bug_in_a_task_is_booked(scheduler: str) -> None:
    found = {}
    with Client(scheduler) as client:
        spread(
            client,
            ({"path": str(number)} for number in range(3)),
            lambda client, job: client.submit(broken, job, pure=False),
            lambda job, answer, error: found.update({job["path"]: answer or str(error)}),
        )
    assert found == {"0": {"path": "0"}, "1": "a bug", "2": {"path": "2"}}


def test_a_scheduler_that_forgets_is_said(scheduler: str) -> None:
    with Client(scheduler) as client, pytest.raises(StreamError, match="run the same command again"):

        def submit(client: Client, job: dict[str, Any]) -> Any:
            future = client.submit(time.sleep, 1, pure=False)
            client.cancel(future)
            return future

        spread(client, iter([{"path": "a"}]), submit, lambda *_: None)


def test_an_answer_that_went_down_with_its_worker_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The future of an answer that is gone is pending again: that is no scheduler that has lost it."""
    from types import SimpleNamespace

    from smug_recon.archive import spread as spread_module

    waiting: list[Any] = []

    class Completed:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        add = staticmethod(waiting.append)

        def __iter__(self) -> Iterator[Any]:
            while waiting:
                future = waiting.pop(0)
                yield future, future.answer

    monkeypatch.setattr(spread_module, "as_completed", Completed)
    tries = iter([("pending", None), ("pending", {"path": "a"})])

    def submit(client: Any, job: dict[str, Any]) -> Any:
        status, answer = next(tries)
        return SimpleNamespace(key=str(id(answer)), status=status, answer=answer)

    booked: list[Any] = []
    spread(None, [{"path": "a"}], submit, lambda *found: booked.append(found), 1)  # type: ignore[arg-type]
    assert booked == [({"path": "a"}, {"path": "a"}, None)]
