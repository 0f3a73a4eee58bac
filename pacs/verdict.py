"""What the status of a C-STORE response means for the instance (PS3.4 annex B.2.3, PS3.7 annex C)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Fate(Enum):
    """Stored; to be tried again; not to be tried again; the association is gone."""

    STORED = "stored"
    AGAIN = "again"
    NEVER = "never"
    BROKEN = "broken"


@dataclass(frozen=True)
class Verdict:
    """What becomes of an instance, and why. Never anything of the peer's comment: it may name the patient."""

    fate: Fate
    reason: str = ""


PERMANENT = {
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0117: "invalid object instance",
    0x0118: "no such SOP class",
    0x0119: "class and instance contradict each other",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    0x0122: "SOP class not supported",
    0x0124: "not authorised",
}


def verdict(status: int) -> Verdict:
    """The meaning of a status; temporary unless the standard says that the instance itself is the reason.

    A duplicate SOP instance (0x0111) is there already: stored.
    """
    code = f"0x{status:04X}"
    if status == 0x0000:
        return Verdict(Fate.STORED)
    if status in (0x0001, 0x0107, 0x0116) or 0xB000 <= status <= 0xBFFF:
        return Verdict(Fate.STORED, f"{code}: stored with a warning")
    if status == 0x0111:
        return Verdict(Fate.STORED, f"{code}: the peer had it already")
    if 0xA700 <= status <= 0xA7FF:
        return Verdict(Fate.AGAIN, f"{code}: out of resources")
    if 0xA900 <= status <= 0xA9FF:
        return Verdict(Fate.NEVER, f"{code}: data set does not match its SOP class")
    if 0xC000 <= status <= 0xCFFF:
        return Verdict(Fate.NEVER, f"{code}: the peer cannot understand it")
    if status in PERMANENT:
        return Verdict(Fate.NEVER, f"{code}: {PERMANENT[status]}")
    return Verdict(Fate.AGAIN, f"{code}: processing failure" if status == 0x0110 else f"{code}: refused")
