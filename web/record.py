"""What the page says about one session: plain data out of the server's account, nothing of the patient."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smug_recon.errors import SmugReconError

if TYPE_CHECKING:
    import ismrmrd

    from smug_recon.pipeline import Pipeline
    from smug_recon.scanner.session import Account

MOST_TEXTS, MOST_LETTERS = 20, 400
"""No more warnings and reasons of one session are kept, and none longer."""
SILENT_S = 5.0
"""A host that pauses longer is said to be silent."""
MODEL, HOST, NETWORK, QUEUE = "prepare", "receive", "network", "queue"
"""Stages of the chain's report in which a session waits for the model, for the host, for its turn and the network."""

Queues = dict[str, list[int]]


@dataclass
class Record:
    """One session; what ``freeze`` has kept of it changes no more."""

    account: Account
    began_at: float = field(default_factory=time.time)
    scan: dict[str, Any] | None = None
    pipeline: str = ""
    ended_at: float | None = None
    frozen: dict[str, Any] | None = None

    @property
    def number(self) -> int:
        """The session's number; they count from 1 when the server starts."""
        return self.account.number

    def understand(self, header: ismrmrd.xsd.ismrmrdHeader, pipeline: Pipeline) -> None:
        """Take matrix, slices and acceleration from the MRD header, nothing else."""
        self.pipeline = pipeline.name
        self.scan = scan_of(header, pipeline)

    def freeze(self) -> None:
        """The session is over: keep what there is to say, as plain data."""
        self.ended_at = time.time()
        self.frozen = self._data({})

    def data(self, queues: Queues) -> dict[str, Any]:
        """All that is known now; ``queues``: the sessions before each device, the one that has it first."""
        return self._data(queues) if self.frozen is None else self.frozen

    def _data(self, queues: Queues) -> dict[str, Any]:
        account, report = self.account, self.account.report
        over = self.ended_at is not None
        return {
            "number": account.number,
            "host": account.kind,
            "pipeline": self.pipeline,
            "scan": self.scan,
            "began": round(self.began_at, 3),
            "ended": None if self.ended_at is None else round(self.ended_at, 3),
            "outcome": account.outcome if over else "",
            "error": _short(account.error),
            "doing": "" if over else doing(account, bool(self.pipeline), queues),
            "received": account.received,
            "lines": report.lines,
            "slices": report.slices,
            "images": account.images,
            "fallbacks": report.fallbacks,
            "reasons": {_short(reason): count for reason, count in _first(report.fallback_reasons.items())},
            "warnings": [_short(text) for text in _first(report.warnings)],
            "stages": stages(report.so_far(), account.waited_s),
            "spool": account.spool,
        }


def stages(seconds: dict[str, float], waited_s: float) -> list[list[Any]]:
    """Seconds per stage in the order of the chain, with what the network waited for the device apart."""
    found: list[list[Any]] = []
    for name, spent in seconds.items():
        waited = min(waited_s, spent) if name == NETWORK else 0.0
        if waited > 0:
            found.append([QUEUE, round(waited, 3)])
        found.append([name, round(spent - waited, 3)])
    return found


def doing(account: Account, opened: bool, queues: Queues) -> str:
    """What a session does now, in a few words."""
    if not opened:
        return "reads configuration and header"
    for device, queue in queues.items():
        if account.number in queue:
            place = queue.index(account.number)
            return f"on the {device}" if place == 0 else f"waits for the {device}, place {place}"
    stage = account.report.running
    silent_s = time.monotonic() - account.heard
    if stage in (MODEL, HOST) and silent_s > SILENT_S:
        return f"host silent for {silent_s:.0f} s"
    return {MODEL: "receives; the model is being loaded", HOST: "receives", "other": "begins"}.get(
        stage, stage
    )


def scan_of(header: ismrmrd.xsd.ismrmrdHeader, pipeline: Pipeline) -> dict[str, Any] | None:
    """Matrix (readout, phase encode, partitions), slices to come, coils, acceleration; None for what is refused."""
    from smug_recon.gadgets.header.plan import build_plan
    from smug_recon.gadgets.header.units import correct_units

    try:
        plan = build_plan(correct_units(header)[0], pipeline)
    except SmugReconError:
        return None  # the session hears of it, and ends
    times = plan.contrasts * plan.phases * plan.repetitions * plan.sets
    return {
        "matrix": [*plan.recon_xyz[:2], plan.lines_z],
        "fov_mm": [round(size, 1) for size in plan.recon_fov_mm[:2]],
        "slices": plan.slices,
        "expected": plan.slices * times,
        "times": times,
        "coils": plan.coils,
        "acceleration": round(plan.acceleration_y, 2),
    }


def report_file(account: Account) -> Path | None:
    """``report.html`` in the folder of the session's spool, if there is one."""
    folder = account.keeping.path
    found = folder / "report.html" if folder is not None else None
    return found if found is not None and found.is_file() else None


def _first(texts: Any) -> list[Any]:
    return list(texts)[:MOST_TEXTS]


def _short(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 3] + "..."
