"""What this process holds in memory, as the system tells."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def status_mb(name: str) -> float | None:
    """Return an entry of /proc/self/status (``VmRSS``, ``VmHWM``) in MB; None where there is none, as on other systems."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else None


def peak_rss_mb() -> float | None:
    """Return the most memory this process has held so far, in MB; None where the system does not tell.

    On Linux that is VmHWM: ``ru_maxrss`` goes over from the process that started this one (proc(5), getrusage(2)), and would be
    the peak of a host that holds a raw file.
    """
    peak = status_mb("VmHWM")
    if peak is None:
        try:
            import resource
        except ImportError:  # not on Windows
            return None
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = most * (1 if sys.platform == "darwin" else 1024) / 1e6
    return round(peak, 1)
