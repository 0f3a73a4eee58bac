"""The Dask cluster: a local one of processes on the loopback interface, or whatever scheduler there is."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import dask
from distributed import Client, LocalCluster
from distributed.security import Security

from smug_recon.scheduler import client_of

LOOPBACK = "127.0.0.1"
CONNECT_S = 60


@dataclass(frozen=True)
class Where:
    """Where the tasks run.

    ``workers`` and ``threads`` (cores of one scan) are of a local cluster: by default one worker per GPU, else one for every
    ``threads`` cores. ``dashboard`` is a port of the loopback interface, 0 for any. ``tls`` are the paths of authority,
    certificate and key of a scheduler that wants them.
    """

    scheduler: str | None = None
    workers: int | None = None
    threads: int | None = None
    dashboard: int = 8787
    tls: tuple[str, str, str] | None = None

    @property
    def cores(self) -> int:
        """Cores that this process may use."""
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def sizes(self, gpus: int) -> tuple[int, int]:
        """Workers and threads of each on this machine."""
        if self.workers is None:
            workers = gpus or max(self.cores // (self.threads or min(self.cores, 4)), 1)
        else:
            workers = self.workers
        return workers, self.threads or max(self.cores // workers, 1)


def gpu_count(device: str) -> int:
    """GPUs of this machine that the pipeline may use."""
    if device == "cpu":
        return 0
    import torch

    return torch.cuda.device_count()


@contextlib.contextmanager
def connected(where: Where, gpus: int, attempts: int) -> Iterator[Client]:
    """A client of the cluster, closed at the end with what was started for it; ConfigurationError.

    A task that takes its worker with it is tried ``attempts`` times; another scheduler has its own setting for that
    (``distributed.scheduler.allowed-failures``).
    """
    if where.scheduler is not None:
        with _silent("distributed.client"), _client_of(where) as client:
            yield client
        return
    workers, _ = where.sizes(gpus)
    settings = {
        "distributed.scheduler.allowed-failures": attempts - 1,
        "distributed.scheduler.worker-saturation": 1.0,  # a worker that dies takes no scan with it that only waits
        "distributed.worker.memory.terminate": False,  # the memory of a scan is that of its own process
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.target": False,
    }
    with dask.config.set(settings), contextlib.ExitStack() as held:
        with warnings.catch_warnings():  # a port in use: another one is taken, and its link is printed
            warnings.filterwarnings("ignore", message=".*Port .* is already in use", category=UserWarning)
            cluster = held.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,  # one scan at a time in each worker
                    processes=True,
                    host=LOOPBACK,
                    dashboard_address=f"{LOOPBACK}:{where.dashboard}",
                    worker_dashboard_address=f"{LOOPBACK}:0",
                    silence_logs=logging.CRITICAL,
                    memory_limit=0,
                )
            )
        yield held.enter_context(Client(cluster))


@contextlib.contextmanager
def _silent(name: str) -> Iterator[None]:
    """Keep a logger quiet: that a scheduler has gone is said by ``spread``, without the tracebacks of Dask."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _client_of(where: Where) -> Client:
    assert where.scheduler is not None
    security = None
    if where.tls is not None:
        authority, certificate, key = where.tls
        security = Security(
            tls_ca_file=authority,
            tls_client_cert=certificate,
            tls_client_key=key,
            require_encryption=True,
        )
    return client_of(where.scheduler, CONNECT_S, security=security)
