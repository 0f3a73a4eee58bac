"""Which cluster: one of another, behind TLS or not, or one of this machine, its workers sharing cores and GPUs."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from archive_trees import archive, whole, write_tree
from distributed import Client, LocalCluster
from distributed.security import Security

from smug_recon.archive import cluster as cluster_module
from smug_recon.archive import run
from smug_recon.archive.cluster import Where
from smug_recon.archive.order import Order
from smug_recon.archive.plan import Terms
from smug_recon.archive.progress import Terminal
from smug_recon.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("fakes")


def clients_alive() -> int:
    return sum(type(found) is Client for found in gc.get_objects())


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_scheduler_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, order: Order, tmp_path: Path
) -> None:
    monkeypatch.setattr(cluster_module, "CONNECT_S", 1)
    raw = write_tree(tmp_path / "raw", a="image")
    gc.collect()
    clients = clients_alive()
    with pytest.raises(ConfigurationError, match="no Dask scheduler") as held:
        archive(order, raw, tmp_path / "out", "tcp://127.0.0.1:9")
    # Collected later, in the middle of the start of another one, it would wait for ever for a lock of its own thread.
    assert held.value is not None and clients_alive() <= clients
    with pytest.raises(ConfigurationError, match="no folder"):
        archive(order, tmp_path / "nowhere", tmp_path / "out", "tcp://127.0.0.1:9")
    gc.collect()


def certificates(security: Security, folder: Path) -> tuple[str, str, str]:
    """Authority, certificate and key of a client as files."""
    paths = [folder / name for name in ("tls_ca_file", "tls_client_cert", "tls_client_key")]
    for path in paths:
        path.write_text(getattr(security, path.name))
    return str(paths[0]), str(paths[1]), str(paths[2])


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_scheduler_behind_tls(order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(
        "cryptography", reason="needs cryptography, for certificates: pip install cryptography"
    )
    monkeypatch.setattr(cluster_module, "CONNECT_S", 2)
    security = Security.temporary()
    tls = certificates(security, tmp_path)
    raw, out = write_tree(tmp_path / "raw", a="image"), tmp_path / "out"
    settings = {
        "n_workers": 1,
        "threads_per_worker": 1,
        "processes": False,
        "dashboard_address": "127.0.0.1:0",
    }
    with LocalCluster(host="tls://127.0.0.1", protocol="tls", security=security, **settings) as cluster:
        address, terms = cluster.scheduler_address, Terms(str(raw), str(out))
        assert address.startswith("tls://127.0.0.1:")
        with pytest.raises(ConfigurationError, match="--tls"):
            run.archive(order, terms, Where(address))
        assert run.archive(order, terms, Where(address, tls=tls)).done == 1
    gc.collect()  # what Dask leaves open of a connection that was refused goes here, not in another test
    whole(out, raw)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_scheduler_without_tls_is_refused_where_tls_is_wanted(
    scheduler: str, order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(
        "cryptography", reason="needs cryptography, for certificates: pip install cryptography"
    )
    monkeypatch.setattr(cluster_module, "CONNECT_S", 2)
    tls = certificates(Security.temporary(), tmp_path)
    raw = write_tree(tmp_path / "raw", a="image")
    with pytest.raises(ConfigurationError):
        run.archive(
            order,
            Terms(str(raw), str(tmp_path / "out")),
            Where(scheduler, tls=tls),
        )


def test_workers_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    assert Where().sizes(0) == (4, 4)
    assert Where(threads=2).sizes(0) == (8, 2)
    assert Where(workers=1).sizes(0) == (1, 16)
    assert Where().sizes(2) == (2, 8)
    assert Where(workers=32).sizes(0) == (32, 1)


@pytest.mark.parametrize(("before", "after"), [("65536", None), ("1048576", "1048576")])
def test_a_reconstruction_does_not_inherit_how_soon_dask_gives_memory_back(
    before: str, after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smug_recon.archive.warm import WarmProcess

    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", before)
    says = "import json, os; input(); print(json.dumps({'is': os.environ.get('MALLOC_TRIM_THRESHOLD_')}))"
    process = WarmProcess({}, (sys.executable, "-c", says))
    try:
        assert process.ask({}, 60.0) == {"is": after}
    finally:
        process.stop(gently=False)


def test_workers_of_a_machine_share_its_gpus() -> None:
    from smug_recon.archive.warm import environment

    devices = [environment(SimpleNamespace(name=n), 2, 2)["CUDA_VISIBLE_DEVICES"] for n in range(4)]
    assert devices == ["0", "1", "0", "1"]
    assert environment(SimpleNamespace(name=3), 2, 1) == {"OMP_NUM_THREADS": "2"}


def test_a_scheduler_without_workers_is_waited_for_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    for threads, said in (({}, True), ({"tcp://10.0.0.7:1": 1}, False)):
        client = SimpleNamespace(scheduler=None, dashboard_link="", nthreads=lambda threads=threads: threads)
        Terminal().started(client)  # type: ignore[arg-type]
        assert ("the scans wait" in capsys.readouterr().out) == said
