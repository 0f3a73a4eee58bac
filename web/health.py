"""Whether all is well, in one line and the points behind it: what the server says of itself, then the last sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

BAD, CARE, NOTE, GOOD = "bad", "care", "note", "good"
RECENT_S = 900.0
"""For so long a session that is over weighs on the line."""
MOST_POINTS = 5


def health(
    server: dict[str, Any], running: Sequence[dict[str, Any]], past: Sequence[dict[str, Any]], now: float
) -> dict[str, Any]:
    """``level`` (bad, care, note, good), ``text``, ``points`` (level and text, the worst first), ``more`` points left out.

    bad: the server cannot serve, or a session failed in the last quarter of an hour. care: slices of a session that
    runs or ended in that time were not made by the network, the model is being loaded, no room for another host, the
    server is being stopped. note: a session that runs has warnings.
    """
    recent = [session for session in past if now - session["ended"] < RECENT_S]
    failed = [session for session in recent if session["outcome"] == "failed"]
    fallen = [session for session in [*running, *recent] if session["fallbacks"]]
    lines: list[tuple[str, str]] = []
    points: list[list[str]] = []
    if server["trouble"]:
        lines.append((BAD, server["trouble"]))
    if failed:
        lines.append((BAD, _which(failed, "failed", "failed in the last quarter of an hour")))
        points += [[BAD, f"Session {one['number']}: {one['error']}"] for one in failed]
    if server["stopping"]:
        lines.append((CARE, "the server is being stopped: running sessions finish, no further one begins"))
    if fallen:
        lines.append(
            (CARE, _which(fallen, "has images without the network", "have images without the network"))
        )
        points += [[CARE, _fallback(one)] for one in fallen]
    if not server["ready"] and not server["trouble"]:
        lines.append((CARE, "the model is being loaded: sessions are accepted and wait for it"))
    if server["active"] >= server["limit"]:
        lines.append(
            (CARE, f"{server['limit']} sessions, as many as allowed: a further host would be refused")
        )
    if not lines:
        warned = any(session["warnings"] for session in running)
        level, text = (NOTE, "Running with warnings") if warned else (GOOD, "All is well")
        return {"level": level, "text": text, "points": [], "more": 0}
    points = [[level, _begun(text)] for level, text in lines[1:]] + points
    points.sort(key=lambda point: point[0] != BAD)
    return {
        "level": lines[0][0],
        "text": _begun(lines[0][1]),
        "points": points[:MOST_POINTS],
        "more": max(len(points) - MOST_POINTS, 0),
    }


def _which(sessions: Sequence[dict[str, Any]], one: str, several: str) -> str:
    if len(sessions) == 1:
        return f"session {sessions[0]['number']} {one}"
    return f"{len(sessions)} sessions {several}"


def _fallback(session: dict[str, Any]) -> str:
    reasons = "; ".join(session["reasons"])
    of = f" of {session['slices']}" if session["slices"] >= session["fallbacks"] else ""
    return (
        f"Session {session['number']}: {session['fallbacks']}{of} slices not made by the network: {reasons}"
    )


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]
