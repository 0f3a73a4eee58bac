"""Trees of files that look like raw files to the archive, processes that reconstruct them in no time, a cluster."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="needs Dask: pip install 'smug-recon[archive]'")
sys.path[:0] = [str(Path(__file__).parents[1] / "gadgets")]  # small_scan, small_card

from archive_trees import FAKE  # noqa: E402
from distributed import LocalCluster  # noqa: E402

from smug_recon.archive import run  # noqa: E402
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


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a cluster of two workers in this process."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        protocol="tcp",
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers whose processes reconstruct in no time."""
    monkeypatch.setattr(run, "WarmPool", partial(WarmPool, command=FAKE))
