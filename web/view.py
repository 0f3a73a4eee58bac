"""What the page asks for, as JSON: the server and all sessions in brief, one session in full."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import smug_recon
from smug_recon.scanner.metrics import gpu_memory
from smug_recon.web.health import health
from smug_recon.web.ledger import Ledger
from smug_recon.web.record import Queues

if TYPE_CHECKING:
    from smug_recon.scanner.house import House

IN_FULL = ("stages", "warnings", "pictures", "reasons")
"""Parts of a past session that its row in the table does not need."""


def overview(house: House, ledger: Ledger, boot: str) -> dict[str, Any]:
    """The server, the health line, sessions that run in full and past ones in brief."""
    queues, now = queues_of(house), time.time()
    server = of_server(house, queues, boot, now)
    running = [ledger.shown(record, queues) for record in ledger.running()]
    past = [ledger.shown(record, queues) for record in ledger.past()]
    return {
        "server": {**server, "pictures": ledger.pictures is not None},
        "health": health(server, running, past, now),
        "running": running,
        "past": [in_brief(session) for session in past],
    }


def queues_of(house: House) -> Queues:
    """Who has the device and who waits for it; the CPU has a queue of its own once the GPU is lost."""
    found = {"device": house.turns.order}
    if spare := house.cpu_turns.order:
        found["CPU"] = spare
    return found


def of_server(house: House, queues: Queues, boot: str, now: float) -> dict[str, Any]:
    """Readiness, room, queue, models, sums since the start; nothing that needs the device to answer but its memory."""
    metrics = house.metrics
    ended: dict[str, int] = {}
    for (_, outcome), count in list(metrics.ended.items()):
        ended[outcome] = ended.get(outcome, 0) + count
    return {
        "version": smug_recon.__version__,
        "boot": boot,
        "now": round(now, 3),
        "ready": house.ready.is_set(),
        "stopping": house.closing.is_set(),
        "trouble": house.trouble,
        "active": metrics.active,
        "limit": house.settings.sessions,
        "queues": queues,
        "models": [{"file": file, "device": device} for file, device in house.models.names],
        "gpu_bytes": _told(gpu_memory),
        "ended": ended,
        "sums": {name: int(value) for name, value in metrics.sums.items()},
    }


def in_brief(session: dict[str, Any]) -> dict[str, Any]:
    """A row of the table of past sessions: with the number of warnings, and the last picture."""
    brief = {name: value for name, value in session.items() if name not in IN_FULL}
    pictures = session["pictures"]
    return {**brief, "warned": len(session["warnings"]), "picture": pictures[-1] if pictures else None}


def as_json(found: dict[str, Any]) -> bytes:
    """Bytes for the browser; a number that is not finite would be an error here, not there."""
    return json.dumps(found, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _told(ask: Callable[[], dict[str, int]]) -> dict[str, int]:
    try:
        return ask()
    except Exception:  # a GPU that is lost does not answer
        return {}
