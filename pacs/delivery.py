"""Files to a peer and back with an answer: what ``smug-recon send`` and ``replay --send`` do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from smug_recon.pacs.destination import Destination
from smug_recon.pacs.files import dicom_files, instance, quiet
from smug_recon.pacs.queue import ASIDE, ASKING, WAITING, Queue
from smug_recon.pacs.sender import Sender

ALL_SENT, SET_ASIDE, STILL_WAITING = 0, 1, 4
"""Exit codes: all stored (and committed, where asked for); something was set aside; something is still in the queue."""

WATCH_S = 0.2


@dataclass(frozen=True)
class Outcome:
    """New instances in the queue, those that were there or sent before, and what the queue of the destination holds now."""

    queued: int
    known: int
    counts: dict[str, int]
    trouble: str = ""

    @property
    def exit_code(self) -> int:
        """One of the exit codes above."""
        return exit_code([self.counts])


def exit_code(counts: Iterable[dict[str, int]]) -> int:
    """The exit code for numbers by state; something set aside comes first, for it needs somebody to look."""
    code = ALL_SENT
    for found in counts:
        if found.get(ASIDE):
            return SET_ASIDE
        if found.get(WAITING) or found.get(ASKING):
            code = STILL_WAITING
    return code


def deliver(
    paths: Iterable[Path],
    destination: Destination,
    give_up_s: float = 600.0,
    *,
    again: bool = False,
    retry: bool = False,
    stop: threading.Event | None = None,
    progress: Callable[[dict[str, int]], None] = lambda counts: None,
) -> Outcome:
    """Put files into the queue, then send until nothing is left or ``give_up_s`` have passed without reaching the end.

    What is left stays in the queue: the next call goes on with it. Where another process sends for this destination, that
    one does the work and is watched. ``again`` sends what was sent before once more, ``retry`` what was set aside.

    Raises:
        DataError: a file that is no DICOM file; a full queue. ConfigurationError: certificates, port of the reports.
    """
    quiet()
    queue = Queue(destination.folder, destination.most_instances, destination.most_bytes)
    try:
        queued = known = 0
        found = [
            instance(path) for path in dicom_files(paths)
        ]  # all of them are looked at before any is queued
        for each in found:
            new = queue.put(destination.to, each, again)
            queued, known = queued + new, known + (not new)
        if retry:
            queued += queue.retry(destination.to)
        sender = Sender(destination, queue, stop)
        limit = time.monotonic() + give_up_s
        while time.monotonic() < limit and not sender.stop.is_set():
            with queue.turn(destination.to) as ours:
                if ours:
                    with sender.listening():
                        _work_off(sender, limit, progress)
                    break
            if queue.next_s(destination.to) is None:
                break
            sender.stop.wait(WATCH_S)
        counts = queue.count(destination.to)
        return Outcome(queued, known, counts, sender.trouble.reason if sender.trouble else "")
    finally:
        queue.close()


def _work_off(sender: Sender, limit: float, progress: Callable[[dict[str, int]], None]) -> None:
    while not sender.stop.is_set():
        pause_s = sender.visit()
        progress(sender.queue.count(sender.destination.to))
        left_s = limit - time.monotonic()
        lasting = sender.trouble is not None and sender.trouble.lasting
        if pause_s is None or left_s <= 0 or lasting or (sender.trouble and pause_s > left_s):
            return
        sender.rest(min(pause_s, left_s))
