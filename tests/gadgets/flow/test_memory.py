"""The memory that is reported is that of this process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from smug_recon.gadgets.flow.memory import peak_rss_mb, status_mb

CHILD = "from smug_recon.gadgets.flow.memory import peak_rss_mb; print(peak_rss_mb())"
PARENT = """
import subprocess, sys
held = bytearray(400_000_000)
print(subprocess.run([sys.executable, "-c", sys.argv[1]], capture_output=True, text=True, check=True).stdout)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak of a parent goes over on Linux")
def test_a_small_process_of_a_large_one_does_not_report_the_peak_of_its_parent() -> None:
    """``ru_maxrss`` would be the 400 MB and more of the parent: it survives fork and exec."""
    answer = subprocess.run(
        [sys.executable, "-c", PARENT, CHILD], capture_output=True, text=True, timeout=120, check=True
    )
    assert 1 < float(answer.stdout) < 200


def test_the_peak_is_at_least_what_is_held() -> None:
    peak, held = peak_rss_mb(), status_mb("VmRSS")
    assert peak is not None and peak > 1
    assert held is None or peak >= held - 0.1
    assert status_mb("VmNothing") is None
