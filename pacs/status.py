"""What a queue holds, as text: numbers by destination, and why what is stuck is stuck."""

from __future__ import annotations

from smug_recon.pacs.queue import STATES, Queue


def status_text(queue: Queue, peer: str | None = None) -> str:
    """One line a destination, and one for every instance with trouble; SOP Instance UIDs, nothing else of the data."""
    counts = {name: found for name, found in queue.counts().items() if peer in (None, name)}
    if not counts:
        return f"nothing in {queue.folder}"
    width = max(len(name) for name in counts)
    lines = []
    for name, found in counts.items():
        lines.append(f"{name:<{width}}  " + "  ".join(f"{state} {found[state]}" for state in STATES))
        lines += [
            f"  {job.number:>7}  {job.state}  after {job.attempts} attempts: {job.reason}  {job.uid}"
            for job in queue.troubled(name)
        ]
    return "\n".join(lines)
