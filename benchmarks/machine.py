"""What was measured on: processor, cores, threads, load, accelerator, versions, date."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "ismrmrd", "sigpy", "smug-recon")


def machine() -> dict[str, Any]:
    """Return the machine as plain data; no host name, no user."""
    import torch

    load = ", ".join(f"{value:.1f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    cuda = torch.cuda.is_available()
    return {
        "cpu": cpu_model(),
        "isa": torch.backends.cpu.get_cpu_capability(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": load,
        "accelerator": torch.cuda.get_device_name(0) if cuda else "no GPU",
        "versions": {"python": platform.python_version(), **_versions()},
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
    }


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within, torch computes on one thread; :func:`machine` says so."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def cpu_model() -> str:
    """Return the model name of the processor, with its family and model number where the name says little."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = found.get("model name", platform.machine())
    return f"{name} (family {found.get('cpu family', '?')}, model {found.get('model', '?')})"


def bart_version() -> str | None:
    """Return the version that ``bart`` gives, None where it is not installed."""
    if shutil.which("bart") is None:
        return None
    done = subprocess.run(["bart", "version"], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() or "unknown"


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
