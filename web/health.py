"""Whether all is well, in one line and the points behind it: what the server says of itself, then the last sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

BAD, CARE, GOOD = "bad", "care", "good"
RECENT_S = 900.0
"""For so long a session that is over weighs on the line."""


def health(
    server: dict[str, Any], running: Sequence[dict[str, Any]], past: Sequence[dict[str, Any]], now: float
) -> dict[str, Any]:
    """``level`` (bad, care, good), ``text`` and ``points``, the worst first.

    bad: the server cannot serve, or a session failed in the last quarter of an hour. care: the model is being loaded,
    no room for another host, the server is being stopped, or slices of a session that runs or ended in the last quarter
    of an hour were not made by the network.
    """
    points: list[tuple[str, str]] = []
    if server["trouble"]:
        points.append((BAD, server["trouble"]))
    recent = [session for session in past if now - session["ended"] < RECENT_S]
    points += [
        (BAD, f"session {session['number']} failed: {session['error']}")
        for session in recent
        if session["outcome"] == "failed"
    ]
    if server["stopping"]:
        points.append((CARE, "the server is being stopped: running sessions finish, no further one begins"))
    points += [(CARE, _fallback(session)) for session in [*running, *recent] if session["fallbacks"]]
    if not server["ready"] and not server["trouble"]:
        points.append((CARE, "the model is being loaded: sessions are accepted and wait for it"))
    if server["active"] >= server["limit"]:
        points.append(
            (CARE, f"{server['limit']} sessions, as many as allowed: a further host would be refused")
        )
    points.sort(key=lambda point: point[0] != BAD)
    if points:
        return {
            "level": points[0][0],
            "text": _begun(points[0][1]),
            "points": [list(point) for point in points],
        }
    return {"level": GOOD, "text": "All is well", "points": []}


def _fallback(session: dict[str, Any]) -> str:
    reasons = "; ".join(session["reasons"])
    of = f" of {session['slices']}" if session["slices"] >= session["fallbacks"] else ""
    return (
        f"session {session['number']}: {session['fallbacks']}{of} slices not made by the network: {reasons}"
    )


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]
