"""What a queue holds, as text: numbers by destination, and why what is stuck is stuck."""

from __future__ import annotations

from smug_recon.pacs.delivery import Outcome
from smug_recon.pacs.queue import ASIDE, ASKING, COMMITTED, STORED, WAITING, Queue

WORDS = {
    WAITING: "waiting",
    ASKING: "stored, commitment outstanding",
    STORED: "stored",
    COMMITTED: "stored and committed",
    ASIDE: "set aside",
}


def status_text(queue: Queue, peer: str | None = None) -> str:
    """One line a destination, and one for every instance with trouble; SOP Instance UIDs, nothing else of the data."""
    counts = {name: found for name, found in queue.counts().items() if peer in (None, name)}
    if not counts:
        return f"nothing in {queue.folder}"
    width = max(len(name) for name in counts)
    lines = []
    for name, found in counts.items():
        lines.append(f"{name:<{width}}  " + numbers(found))
        lines += [
            f"  {job.number:>7}  {job.state}  after {job.attempts} attempts: {job.reason}  {job.uid}"
            for job in queue.troubled(name)
        ]
    return "\n".join(lines)


def outcome_text(outcome: Outcome, peer: str) -> str:
    """What has come of a delivery, in one line, with the reason where the peer could not be reached."""
    known = f", {outcome.known} known already" if outcome.known else ""
    trouble = f"; {outcome.trouble}" if outcome.trouble else ""
    return f"pacs     {peer}  {outcome.queued} new{known}; in all: {numbers(outcome.counts)}{trouble}"


def numbers(counts: dict[str, int]) -> str:
    """Numbers by state as text, without the zeros."""
    return (
        ", ".join(f"{counts[state]} {word}" for state, word in WORDS.items() if counts.get(state)) or "none"
    )
