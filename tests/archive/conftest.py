"""Trees of files that look like raw files to the archive, a pool of processes that reconstruct them in no time."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="needs Dask: pip install 'smug-recon[archive]'")
sys.path[:0] = [str(Path(__file__).parents[1] / "gadgets")]  # small_scan, small_card

from archive_trees import FAKE  # noqa: E402

from smug_recon.archive.order import Order, order_of  # noqa: E402
from smug_recon.archive.plan import Terms, job_of  # noqa: E402
from smug_recon.archive.results import Results  # noqa: E402
from smug_recon.archive.scans import raw_scans  # noqa: E402
from smug_recon.archive.warm import WarmPool  # noqa: E402


@pytest.fixture(scope="session")
def order() -> Order:
    """The shipped pipeline on the CPU."""
    return order_of(None, {"device": "cpu"})


@pytest.fixture
def pool() -> Iterator[WarmPool]:
    """A pool of fakes."""
    made = WarmPool("", b"", command=FAKE)
    made.setup(None)
    yield made
    made.teardown(None)


@pytest.fixture
def jobs(order: Order) -> Callable[..., list[dict[str, Any]]]:
    """``jobs(source, out, **terms)``: the jobs of all scans of a tree."""

    def make(source: str | Path, out: str | Path, known: Any = None, **terms: Any) -> list[dict[str, Any]]:
        from fsspec.core import url_to_fs

        given = dataclasses.replace(Terms(str(source), str(out), 20.0), **terms)
        files, root = url_to_fs(str(source))
        found = raw_scans(files, root, leave_out=Results(str(out)).root)
        return [job_of(scan, order, given, order.wanted(scan.spool), known) for scan in found]

    return make
