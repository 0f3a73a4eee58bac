"""Numbers for Prometheus: sessions, lines, slices, images, seconds per stage, fallbacks, queue, memory of the GPU.

Nothing in them comes from a header or an image: no name, no identifier.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from smug_recon.gadgets.flow.kinds import KINDS

if TYPE_CHECKING:
    from smug_recon.scanner.house import House
    from smug_recon.scanner.session import Account

COUNTS = {
    "lines": "readouts of images that were reconstructed",
    "slices": "slices completed",
    "images": "images sent",
    "spooled_bytes": "bytes of raw data written to spools",
    "spools_stopped": "sessions of which not all raw data were kept (disk full, bounds)",
}
FALLBACKS = "slices that are not what was asked for, by the kind of the reason"


class Metrics:
    """Plain sums, kept by the sessions; ``text`` puts them into the Prometheus format."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sums: dict[str, float] = dict.fromkeys((*COUNTS, "fallbacks"), 0)
        self.fallbacks: dict[str, float] = dict.fromkeys(KINDS, 0)
        self.stage_s: dict[str, float] = {}
        self.ended: dict[tuple[str, str], int] = {}
        self.active = 0
        self._seen: dict[int, dict[str, float]] = {}
        self._house: House | None = None
        self.more: list[Callable[[], list[Any]]] = []

    def watch(self, house: House) -> None:
        """Take queue, limits and readiness from here."""
        self._house = house

    def begin(self, account: Account) -> None:
        """A session begins."""
        with self._lock:
            self.active += 1
            self._seen[account.number] = {}

    def end(self, account: Account) -> None:
        """A session is over; its numbers stay in the sums."""
        self.follow(account)
        with self._lock:
            self.active -= 1
            self._seen.pop(account.number, None)
        self.count(account.kind, account.outcome)

    def count(self, kind: str, outcome: str) -> None:
        """Count a session by kind of host and outcome."""
        with self._lock:
            self.ended[kind, outcome] = self.ended.get((kind, outcome), 0) + 1

    def follow(self, account: Account) -> None:
        """Add what a session has done since the last call; called from the session's own thread."""
        report = account.report
        now: dict[str, float] = {
            "lines": report.lines,
            "slices": report.slices,
            "images": account.images,
            "fallbacks": report.fallbacks,
            "spooled_bytes": account.keeping.written,
            "spools_stopped": bool(account.keeping.trouble),
        }
        with self._lock:
            seen = self._seen.setdefault(account.number, {})
            for name, value in now.items():
                self.sums[name] += value - seen.get(name, 0)
            for stage, seconds in list(report.seconds.items()):
                key = f"stage {stage}"
                self.stage_s[stage] = self.stage_s.get(stage, 0.0) + seconds - seen.get(key, 0.0)
                now[key] = seconds
            for kind, number in list(report.fallback_kinds.items()):
                key = f"fallback {kind}"
                self.fallbacks[kind] += number - seen.get(key, 0)
                now[key] = number
            self._seen[account.number] = now

    def text(self) -> bytes:
        """The Prometheus exposition; ImportError without prometheus-client."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(_Collector(self))
        return bytes(generate_latest(registry))

    def families(self) -> list[Any]:
        """The numbers as metric families of prometheus-client."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        with self._lock:
            ended = CounterMetricFamily(
                "smug_recon_sessions", "sessions that are over", labels=["host", "outcome"]
            )
            for labels, number in self.ended.items():
                ended.add_metric(list(labels), number)
            stages = CounterMetricFamily("smug_recon_stage_seconds", "seconds per stage", labels=["stage"])
            for stage, seconds in self.stage_s.items():
                stages.add_metric([stage], seconds)
            fallbacks = CounterMetricFamily("smug_recon_fallbacks", FALLBACKS, labels=["reason"])
            for kind, images in self.fallbacks.items():
                fallbacks.add_metric([kind], images)
            found: list[Any] = [ended, stages, fallbacks]
            found += [
                CounterMetricFamily(f"smug_recon_{name}", about, value=self.sums[name])
                for name, about in COUNTS.items()
            ]
            found.append(GaugeMetricFamily("smug_recon_sessions_active", "sessions now", value=self.active))
        if (house := self._house) is not None:
            queues = (house.turns, house.cpu_turns)
            waiting, waited_s = sum(q.waiting for q in queues), sum(q.waited_s for q in queues)
            found += [
                GaugeMetricFamily(
                    "smug_recon_sessions_limit", "sessions at once", value=house.settings.sessions
                ),
                GaugeMetricFamily("smug_recon_queue", "slices that wait for the device", value=waiting),
                CounterMetricFamily(
                    "smug_recon_queue_seconds", "seconds waited for the device", value=waited_s
                ),
                GaugeMetricFamily("smug_recon_models", "models in memory", value=house.models.count),
                GaugeMetricFamily(
                    "smug_recon_gpu_lost", "1 once the GPU is lost", value=bool(house.gpu_lost)
                ),
                GaugeMetricFamily(
                    "smug_recon_ready", "1 when the model is loaded", value=house.ready.is_set()
                ),
            ]
        memory = GaugeMetricFamily("smug_recon_gpu_memory_bytes", "memory of the GPU", labels=["kind"])
        for kind, size in gpu_memory().items():
            memory.add_metric([kind], size)
        return [*found, memory, *(family for source in self.more for family in source())]


class _Collector:
    def __init__(self, metrics: Metrics) -> None:
        self.collect = metrics.families


def gpu_memory() -> dict[str, int]:
    """Allocated, reserved and free bytes of the GPU; nothing without one, before torch is imported, or once it is lost."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not hasattr(cuda, "is_initialized") or not cuda.is_initialized():
        return {}
    try:
        return {
            "allocated": cuda.memory_allocated(),
            "reserved": cuda.memory_reserved(),
            "free": cuda.mem_get_info()[0],
        }
    except Exception:  # a GPU that is lost answers nothing; the other numbers stand
        return {}
