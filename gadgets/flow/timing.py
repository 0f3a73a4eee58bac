"""Where the time goes and what went wrong: seconds per stage, lines, slices, fallbacks and warnings of one
stream."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smug_recon.gadgets.flow.kinds import Failure
from smug_recon.gadgets.flow.memory import peak_rss_mb
from smug_recon.gadgets.flow.observer import NOBODY, Observer

log = logging.getLogger(__name__)

#: environment variable that names the JSON file to write the report to
TIMING_FILE = "SMUG_RECON_TIMING"


@dataclass
class _Clock:
    """Of one thread: the stage that runs, None where it waits for the other thread, and since when."""

    running: str | None
    mark: float


class Report:
    """The account of one stream; stages pull from each other, so each second is booked on the innermost
    running stage. Two threads may share it (``beside``): what both do at once is booked twice, waiting for each other never."""

    def __init__(self, observer: Observer = NOBODY) -> None:
        self.observer = observer
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self.lines = 0
        self.slices = 0
        self.fallbacks = 0
        self.fallback_reasons: dict[str, int] = {}
        self.fallback_kinds: dict[str, int] = {}
        self.saturated = 0
        self.passed: dict[str, int] = {}
        self.left_out: dict[str, int] = {}
        self.warnings: list[str] = []
        self.announced: list[str] = []
        self._lap: dict[str, float] = {}
        self._lock = threading.RLock()
        self._began = time.perf_counter()
        self._clock = _Clock("other", self._began)
        self._beside: dict[int, _Clock] = {}
        self._unsaid: deque[str] = deque()

    def switch(self, stage: str | None) -> str | None:
        """Book the time since the last switch of this thread on its running stage, let ``stage`` run, return the one
        before; None: nothing runs."""
        clock = self._beside.get(threading.get_ident(), self._clock) if self._beside else self._clock
        now = time.perf_counter()
        if clock.running is not None:
            with self._lock:
                self.seconds[clock.running] = self.seconds.get(clock.running, 0.0) + now - clock.mark
                self.observer.booked(clock.running, clock.mark, now)
        before, clock.running, clock.mark = clock.running, stage, now
        return before

    @contextmanager
    def idle(self) -> Iterator[None]:
        """Within, this thread waits for another one that is at work for the stream: booked on nobody."""
        before = self.switch(None)
        try:
            yield
        finally:
            self.switch(before)

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Within, this thread works for the stream beside the one that made the report; its warnings are logged by that one."""
        self._beside[threading.get_ident()] = _Clock("other", time.perf_counter())
        try:
            yield
        finally:
            self.switch(None)
            del self._beside[threading.get_ident()]

    def say(self) -> None:
        """Log what was warned of beside: a host that is sent the log hears one thread."""
        while self._unsaid:
            log.warning("%s", self._unsaid.popleft())

    @property
    def waiting(self) -> bool:
        """Whether the thread that made the report waits for the one beside it."""
        return self._clock.running is None

    @property
    def running(self) -> str:
        """The innermost stage that runs now."""
        clocks = [self._clock, *tuple(self._beside.values())]
        return next((clock.running for clock in clocks if clock.running is not None), "other")

    def so_far(self) -> dict[str, float]:
        """Seconds per stage up to now, nothing booked: another thread may look while the stages run."""
        seconds = dict(self.seconds)
        for clock in (self._clock, *tuple(self._beside.values())):
            running, mark = clock.running, clock.mark
            if running is not None:
                seconds[running] = seconds.get(running, 0.0) + max(time.perf_counter() - mark, 0.0)
        return seconds

    def timed(self, stage: str, items: Iterable[Any]) -> Iterator[Any]:
        """Return the items of a stage, booking the time it needs (without the stages before it) under its
        name."""
        self.seconds.setdefault(stage, 0.0)  # at once: the report lists the stages as they were composed
        return self._pulled(stage, iter(items))

    def _pulled(self, stage: str, iterator: Iterator[Any]) -> Iterator[Any]:
        while True:
            before = self.switch(stage)
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.switch(before)
            with self._lock:
                self.calls[stage] = self.calls.get(stage, 0) + 1
            yield item

    def call(self, stage: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function, booking its time under the name of the stage."""
        before = self.switch(stage)
        try:
            return function(*arguments)
        finally:
            self.switch(before)
            self.calls[stage] = self.calls.get(stage, 0) + 1

    def warn(self, text: str) -> None:
        """Say something once: in the log, and in the report."""
        with self._lock:
            if text in self.warnings:
                return
            self.warnings.append(text)
            beside = threading.get_ident() in self._beside
            if beside:
                self._unsaid.append(text)
        if not beside:
            log.warning("%s", text)

    def announce(self, text: str) -> None:
        """Say something in the log, in the report and in the comments of every image from now on."""
        self.warn(text)
        if text not in self.announced:
            self.announced.append(text)

    def fall_back(self, method: str, why: Failure) -> None:
        """Count a slice for which ``method`` stood in, by reason and kind; the log hears of every reason once."""
        self.count_fallback(why)
        self.warn(f"{why.reason}: {method} in its place, marked on the image")

    def count_fallback(self, why: Failure) -> None:
        """Count a slice that is not what was asked for, by reason and kind."""
        self.fallbacks += 1
        self.fallback_reasons[why.reason] = self.fallback_reasons.get(why.reason, 0) + 1
        self.fallback_kinds[why.kind] = self.fallback_kinds.get(why.kind, 0) + 1

    def lap(self) -> dict[str, float]:
        """Return the seconds of each stage since the last call."""
        self.switch(self._clock.running)
        found = {name: spent - self._lap.get(name, 0.0) for name, spent in dict(self.seconds).items()}
        self._lap = dict(self.seconds)
        return found

    def passed_on(self, kind: str) -> None:
        """Count a readout that is passed on without being reconstructed."""
        self.passed[kind] = self.passed.get(kind, 0) + 1

    def leave_out(self, kind: str) -> None:
        """Count an item that the pipeline does not want sent back."""
        self.left_out[kind] = self.left_out.get(kind, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data (the layout of the JSON file)."""
        self.switch(self._clock.running)
        return {
            "stages": [
                {"name": name, "seconds": round(self.seconds[name], 6), "calls": self.calls.get(name, 0)}
                for name in self.seconds
            ],
            "wall_seconds": round(time.perf_counter() - self._began, 6),
            "lines": self.lines,
            "slices": self.slices,
            "fallbacks": self.fallbacks,
            "fallback_reasons": dict(self.fallback_reasons),
            "fallback_kinds": dict(self.fallback_kinds),
            "saturated_voxels": self.saturated,
            "peak_rss_mb": peak_rss_mb(),
            "passed_on": dict(self.passed),
            "left_out": dict(self.left_out),
            "warnings": list(self.warnings),
        }

    def finish(self) -> None:
        """Write the report to the log and, if the environment names a file, to that file; the observer is done."""
        found = self.as_dict()
        self.observer.end()
        for kind, count in self.passed.items():
            log.info("passed on without reconstruction: %d %s readouts", count, kind)
        for kind, count in self.left_out.items():
            log.info("not sent back, as pass_on says: %d of type %s", count, kind)
        log.info("%d lines, %d slices, %d fallbacks", self.lines, self.slices, self.fallbacks)
        if found["peak_rss_mb"] is not None:
            log.info("at most %.0f MB of memory", found["peak_rss_mb"])
        for stage in found["stages"]:
            log.info("%-14s %8.3f s %7d items", stage["name"], stage["seconds"], stage["calls"])
        target = os.environ.get(TIMING_FILE)
        if target:
            try:
                Path(target).write_text(json.dumps(found, indent=1), encoding="utf-8")
            except OSError as error:  # the images have left; a full disk takes none of them back
                log.error("the report of the scan cannot be written (%s)", error.strerror or error)
