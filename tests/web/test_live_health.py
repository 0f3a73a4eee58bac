"""The health line: the worst of a server and its sessions, in few words."""

from __future__ import annotations

import pytest

from smug_recon.scanner.session import DONE, FAILED, FALLBACK
from smug_recon.web.health import BAD, CARE, GOOD, MOST_POINTS, NOTE, RECENT_S, health

NOW = 10_000.0


SERVER = {"trouble": "", "stopping": False, "ready": True, "active": 1, "limit": 4}


def session(number=1, **changes):
    return {"number": number, "fallbacks": 0, "slices": 4, "reasons": {}, "outcome": DONE, "error": "",
            "warnings": [], "ended": NOW - 10, **changes}  # fmt: skip


LONG_AGO = {"ended": NOW - RECENT_S}


FALLEN = {"fallbacks": 2, "reasons": {"out of memory": 2}, "outcome": FALLBACK}


@pytest.mark.parametrize(
    ("server", "running", "past", "level", "text", "points"),
    [
        ({}, [session()], [session(2)], GOOD, "All is well", []),
        ({}, [session(warnings=["outside the trained range"])], [], NOTE, "Running with warnings", []),
        ({}, [], [session(warnings=["outside the trained range"])], GOOD, "All is well", []),
        ({"trouble": "the GPU was lost"}, [], [], BAD, "The GPU was lost", []),
        ({"ready": False}, [], [], CARE, "The model is being loaded", []),
        ({"stopping": True}, [], [], CARE, "The server is being stopped", []),
        ({"active": 4}, [], [], CARE, "4 sessions, as many as allowed", []),
        ({}, [session(3, **FALLEN)], [], CARE, "Session 3 has images without the network",
         ["Session 3: 2 of 4 slices not made by the network: out of memory"]),
        ({}, [], [session(3, **FALLEN)], CARE, "Session 3 has", ["Session 3: 2 of 4"]),
        ({}, [], [session(3, **FALLEN, **LONG_AGO)], GOOD, "All is well", []),
        ({}, [], [session(9, outcome=FAILED, error="why", **LONG_AGO)], GOOD, "All is well", []),
        ({}, [], [session(8, outcome=FAILED, error="why"), session(7, outcome=FAILED, error="how")],
         BAD, "2 sessions failed in the last quarter", ["Session 8: why", "Session 7: how"]),
        ({"active": 4}, [session(1, **FALLEN)], [session(9, outcome=FAILED, error="why")], BAD, "Session 9 failed",
         ["Session 9: why", "Session 1 has", "4 sessions", "Session 1: 2 of 4"]),
    ],
)  # fmt: skip
def test_the_health_line_tells_the_worst(server, running, past, level, text, points):
    found = health({**SERVER, **server}, running, past, NOW)
    assert found["level"] == level and found["text"].startswith(text)
    assert len(found["points"]) == len(points)
    for (_, told), expected in zip(found["points"], points, strict=True):
        assert told.startswith(expected)


def test_the_points_are_few():
    found = health(SERVER, [], [session(n, outcome=FAILED, error="why") for n in range(40)], NOW)
    assert len(found["points"]) == MOST_POINTS and found["more"] == 40 - MOST_POINTS
